/**
 * The shop of the demonstration: its tables, and clients that buy, pay, cancel, restock and change prices for as long
 * as the shop is open.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { SeededRandom } from '../test/support/seeded-random.ts';
import type { TestServer } from '../test/support/test-server.ts';

export const SHOP_TABLES = ['customers', 'products', 'stock', 'orders', 'order_lines', 'payments'] as const;

const CUSTOMERS = 300;
const PRODUCTS = 120;

const DEFINITIONS = [
  'CREATE DATABASE shop CHARACTER SET utf8mb4',
  'USE shop',
  `CREATE TABLE customers (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL,
     email VARCHAR(120) NOT NULL UNIQUE, address JSON, joined_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3))`,
  `CREATE TABLE products (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL,
     price DECIMAL(10,2) NOT NULL, changed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))`,
  `CREATE TABLE stock (product_id INT UNSIGNED NOT NULL PRIMARY KEY, quantity INT NOT NULL,
     FOREIGN KEY (product_id) REFERENCES products (id))`,
  `CREATE TABLE orders (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id INT UNSIGNED NOT NULL,
     state ENUM('open','paid','sent') NOT NULL DEFAULT 'open', total DECIMAL(12,2) NOT NULL DEFAULT 0,
     placed_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), FOREIGN KEY (customer_id) REFERENCES customers (id))`,
  `CREATE TABLE order_lines (order_id BIGINT UNSIGNED NOT NULL, line SMALLINT NOT NULL, product_id INT UNSIGNED NOT NULL,
     quantity INT NOT NULL, price DECIMAL(10,2) NOT NULL, PRIMARY KEY (order_id, line),
     FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE, FOREIGN KEY (product_id) REFERENCES products (id))`,
  `CREATE TABLE payments (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id BIGINT UNSIGNED NOT NULL,
     amount DECIMAL(12,2) NOT NULL, paid_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
     FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE)`,
];

export interface ShopFigures {
  placed: number;
  paid: number;
  cancelled: number;
  customersJoined: number;
  pricesChanged: number;
}

export class Shop {
  readonly figures: ShopFigures = { placed: 0, paid: 0, cancelled: 0, customersJoined: 0, pricesChanged: 0 };
  readonly #server: TestServer;
  readonly #clients: Promise<void>[] = [];
  #open = false;

  private constructor(server: TestServer) {
    this.#server = server;
  }

  static async build(server: TestServer): Promise<Shop> {
    const connection = await server.connect();
    for (const definition of DEFINITIONS) await connection.query(definition);
    const random = new SeededRandom(7);
    const customers = Array.from({ length: CUSTOMERS }, (_, index) => [
      `${random.pick(FIRST_NAMES)} ${random.pick(LAST_NAMES)}`,
      `customer${index + 1}@example.org`,
      JSON.stringify({ city: random.pick(CITIES), zip: String(random.between(10000, 99999)) }),
    ]);
    await connection.query('INSERT INTO customers (name, email, address) VALUES ?', [customers]);
    const products = Array.from({ length: PRODUCTS }, (_, index) => [
      `${random.pick(ADJECTIVES)} ${random.pick(THINGS)} No. ${index + 1}`,
      (random.between(199, 19999) / 100).toFixed(2),
    ]);
    await connection.query('INSERT INTO products (name, price) VALUES ?', [products]);
    await connection.query('INSERT INTO stock SELECT id, 100000 FROM products');
    await connection.end();
    return new Shop(server);
  }

  /** Opens the shop to so many clients. */
  open(clients: number): void {
    this.#open = true;
    for (let index = 1; index <= clients; index++) this.#clients.push(this.#client(index));
  }

  /** Closes the shop: what is begun is finished. */
  async close(): Promise<void> {
    this.#open = false;
    await Promise.all(this.#clients);
  }

  /** The change of a table in the middle of business. */
  async alter(): Promise<void> {
    await this.#server.query(
      "ALTER TABLE shop.orders ADD COLUMN channel VARCHAR(10) NOT NULL DEFAULT 'web' AFTER customer_id",
    );
  }

  async #client(index: number): Promise<void> {
    const random = new SeededRandom(100 + index);
    const connection = await this.#server.connect({ database: 'shop' });
    while (this.#open) {
      try {
        await this.#act(connection, random);
      } catch (error) {
        // Two customers who want the same things in another order: the server picks one, who tries again.
        if (!['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT'].includes((error as { code?: string }).code ?? ''))
          throw error;
        await connection.query('ROLLBACK');
      }
      await delay(random.between(2, 14));
    }
    await connection.end();
  }

  #act(connection: Connection, random: SeededRandom): Promise<void> {
    switch (random.weighted({ buy: 70, send: 12, cancel: 8, join: 6, price: 4 })) {
      case 'buy':
        return this.#buy(connection, random);
      case 'send':
        return this.#run(
          connection,
          "UPDATE orders SET state = 'sent' WHERE state = 'paid' ORDER BY id LIMIT 3",
        );
      case 'cancel':
        return this.#cancel(connection, random);
      case 'join': {
        const email = `new${random.between(1, 2 ** 31)}-${Date.now()}@example.org`;
        const name = `${random.pick(FIRST_NAMES)} ${random.pick(LAST_NAMES)}`;
        this.figures.customersJoined += 1;
        return this.#run(connection, 'INSERT INTO customers (name, email, address) VALUES (?, ?, ?)', [
          name,
          email,
          JSON.stringify({ city: random.pick(CITIES) }),
        ]);
      }
      case 'price':
        this.figures.pricesChanged += 1;
        return this.#run(connection, 'UPDATE products SET price = price * ? WHERE id = ?', [
          random.pick([0.95, 1.05]),
          random.between(1, PRODUCTS),
        ]);
    }
  }

  async #buy(connection: Connection, random: SeededRandom): Promise<void> {
    await connection.query('BEGIN');
    const [order] = await connection.query<ResultSetHeader>('INSERT INTO orders (customer_id) VALUES (?)', [
      random.between(1, CUSTOMERS),
    ]);
    const lines = random.between(1, 5);
    for (let line = 1; line <= lines; line++) {
      const product = random.between(1, PRODUCTS);
      const quantity = random.between(1, 4);
      await connection.query('INSERT INTO order_lines SELECT ?, ?, id, ?, price FROM products WHERE id = ?', [
        order.insertId,
        line,
        quantity,
        product,
      ]);
      await connection.query('UPDATE stock SET quantity = quantity - ? WHERE product_id = ?', [
        quantity,
        product,
      ]);
    }
    await connection.query(
      `UPDATE orders SET total = (SELECT SUM(quantity * price) FROM order_lines WHERE order_id = ?) WHERE id = ?`,
      [order.insertId, order.insertId],
    );
    const paid = random.chance(0.8);
    if (paid) {
      await connection.query(
        'INSERT INTO payments (order_id, amount) SELECT id, total FROM orders WHERE id = ?',
        [order.insertId],
      );
      await connection.query("UPDATE orders SET state = 'paid' WHERE id = ?", [order.insertId]);
    }
    await connection.query('COMMIT');
    this.figures.placed += 1;
    if (paid) this.figures.paid += 1;
  }

  async #cancel(connection: Connection, random: SeededRandom): Promise<void> {
    const [rows] = await connection.query<RowDataPacket[]>(
      "SELECT id FROM orders WHERE state <> 'sent' ORDER BY id DESC LIMIT 1 OFFSET ?",
      [random.between(5, 40)],
    );
    const id = rows[0]?.id;
    if (id === undefined) return;
    const [result] = await connection.query<ResultSetHeader>('DELETE FROM orders WHERE id = ?', [id]);
    this.figures.cancelled += result.affectedRows;
  }

  async #run(connection: Connection, sql: string, values: readonly unknown[] = []): Promise<void> {
    await connection.query(sql, values as unknown[]);
  }
}

const FIRST_NAMES = [
  'Ada',
  'Grace',
  'Edsger',
  'Barbara',
  'Donald',
  'Frances',
  'Alan',
  'Radia',
  'Niklaus',
  'Jürgen',
];
const LAST_NAMES = [
  'Miller',
  'Rivera',
  'Grünwald',
  'Šťastný',
  'Okafor',
  'Tanaka',
  'Novák',
  "O'Brien",
  'Larsson',
  '陈',
];
const CITIES = ['Lübeck', 'Graz', 'Zürich', 'Łódź', 'Aarhus', 'Coimbra', 'Gent', '大阪'];
const ADJECTIVES = ['Sturdy', 'Quiet', 'Bright', 'Folding', 'Plain', 'Oak', 'Woollen'];
const THINGS = ['lamp', 'chair', 'kettle', 'blanket', 'shelf', 'mill', 'basket', 'clock'];
