/**
 * A schema as applications have them: six tables, foreign keys (one cascades), most column types, and transactions of
 * different shapes: an order with its items, a payment, a changed customer, a cancelled order, an entry of an audit log.
 */

const CUSTOMERS = 4000;
const PRODUCTS = 2000;
const SESSIONS = 8;

export function shopWorkload(transactions: number) {
  const each = Math.ceil(transactions / SESSIONS);
  return {
    title: 'a shop: foreign keys, many types',
    base: [
      'SET SESSION cte_max_recursion_depth = 10000',
      ...TABLES,
      `INSERT INTO customers (id, email, name, born, rating, flags, note)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${CUSTOMERS})
         SELECT i, CONCAT('customer', i, '@example.com'), CONCAT('Zoë Łukasz 漢字 ', i), '1970-01-01' + INTERVAL i DAY, i / 7,
                1 + i % 7, NULL FROM n`,
      `INSERT INTO products (id, sku, title, price, stock, weight, kind, attributes)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${PRODUCTS})
         SELECT i, UNHEX(LPAD(HEX(i), 16, '0')), CONCAT('Product ', i), i * 1.07, 100000, i / 3, 1 + i % 4,
                JSON_OBJECT('colour', ELT(1 + i % 3, 'red', 'grün', 'bleu'), 'sizes', JSON_ARRAY(i, i * 2), 'ratio', i / 9) FROM n`,
      PROCEDURE,
    ],
    clients: Array.from({ length: SESSIONS }, (_, session) => [`CALL trade(${each}, ${session + 1})`]),
  };
}

const TABLES = [
  `CREATE TABLE customers (id INT UNSIGNED PRIMARY KEY, email VARCHAR(120) NOT NULL UNIQUE, name VARCHAR(200) NOT NULL,
     born DATE, rating FLOAT, flags BIT(12), note TEXT, changed TIMESTAMP(3) NOT NULL DEFAULT '2026-01-01 00:00:00')`,
  `CREATE TABLE products (id INT UNSIGNED PRIMARY KEY, sku BINARY(8) NOT NULL UNIQUE, title VARCHAR(200), price DECIMAL(12,2),
     stock INT NOT NULL, weight DOUBLE, kind ENUM('book','disc','toy','other'), attributes JSON, KEY (kind))`,
  `CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, placed DATETIME(6) NOT NULL,
     state ENUM('new','paid','sent') NOT NULL, options SET('gift','express','insured'), total DECIMAL(14,2) NOT NULL,
     year SMALLINT AS (YEAR(placed)) STORED, KEY (customer_id, placed), FOREIGN KEY (customer_id) REFERENCES customers (id))`,
  `CREATE TABLE items (order_id BIGINT NOT NULL, line SMALLINT NOT NULL, product_id INT UNSIGNED NOT NULL, amount INT NOT NULL,
     price DECIMAL(12,2) NOT NULL, PRIMARY KEY (order_id, line), KEY (product_id),
     FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE, FOREIGN KEY (product_id) REFERENCES products (id))`,
  `CREATE TABLE payments (id BIGINT PRIMARY KEY, order_id BIGINT, amount DECIMAL(14,2) NOT NULL, paid TIMESTAMP(6) NOT NULL,
     reference VARBINARY(40), KEY (order_id))`,
  `CREATE TABLE audit (id BIGINT PRIMARY KEY, at_time TIME(3), entry JSON, body MEDIUMTEXT)`,
];

/** Each session draws its own numbers and uses its own ids: `n` grows by one a transaction. */
const PROCEDURE = `CREATE PROCEDURE trade (IN wanted INT, IN session INT)
BEGIN
  DECLARE n INT DEFAULT 0;
  DECLARE s BIGINT DEFAULT session * 7654321;
  DECLARE mine, other BIGINT;
  DECLARE line INT;
  WHILE n < wanted DO
    SET s = (s * 1103515245 + 12345) % 2147483648;
    SET mine = session * 10000000 + n;
    SET other = session * 10000000 + s % (n + 1);
    BEGIN
      DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK;
      START TRANSACTION;
      CASE
        WHEN s DIV 65536 % 10 < 5 THEN
          INSERT INTO orders (id, customer_id, placed, state, options, total)
            VALUES (mine, 1 + s % ${CUSTOMERS}, '2026-03-01' + INTERVAL mine SECOND, 'new', s % 8, 0);
          SET line = 0;
          WHILE line <= s DIV 256 % 5 DO
            INSERT INTO items VALUES (mine, line, 1 + (s + line * 37) % ${PRODUCTS}, 1 + line, 9.99 + line);
            SET line = line + 1;
          END WHILE;
          UPDATE products SET stock = stock - 1 WHERE id = 1 + s % ${PRODUCTS};
          UPDATE orders SET total = line * 10.5 WHERE id = mine;
        WHEN s DIV 65536 % 10 < 7 THEN
          UPDATE orders SET state = 'paid' WHERE id = other;
          INSERT INTO payments VALUES (mine, other, s % 100000 / 7, '2026-02-01' + INTERVAL s % 1000000 SECOND, UNHEX(SHA2(s, 256)));
        WHEN s DIV 65536 % 10 < 8 THEN
          UPDATE customers SET rating = rating + 0.1, flags = s % 4096, note = REPEAT(CONCAT('nöte ', s), 1 + s % 20),
            changed = '2026-02-01' + INTERVAL s % 1000000 SECOND WHERE id = 1 + s % ${CUSTOMERS};
        WHEN s DIV 65536 % 10 < 9 THEN
          DELETE FROM orders WHERE id = other;
        ELSE
          UPDATE products SET attributes = JSON_SET(attributes, '$.seen', s), price = price * 1.01 WHERE id = 1 + s % ${PRODUCTS};
      END CASE;
      INSERT INTO audit VALUES (mine, SEC_TO_TIME(s % 80000), JSON_OBJECT('n', n, 'what', s DIV 65536 % 10, 'who', session),
        REPEAT('entry ', s % 40));
      COMMIT;
    END;
    SET n = n + 1;
  END WHILE;
END`;
