/**
 * Connections of a test to its server: one kept for `query`, any number opened by `connect`, all closed together.
 */
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';
import type { Row } from './test-server.ts';

export const ROOT_USER = 'root';
export const ROOT_PASSWORD = 'root';

export class RootConnections {
  readonly #host: string;
  readonly #port: number;
  readonly #open = new Set<Connection>();
  #kept: Promise<Connection> | null = null;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  async connect(options: ConnectionOptions = {}): Promise<Connection> {
    const connection = await createConnection({
      host: this.#host,
      port: this.#port,
      user: ROOT_USER,
      password: ROOT_PASSWORD,
      multipleStatements: true,
      supportBigNumbers: true,
      dateStrings: true,
      connectTimeout: 10_000,
      ...options,
    });
    this.#open.add(connection);
    // A server that is killed breaks its connections: whoever waits on one gets the error from its own call.
    connection.on('error', () => {
      this.#open.delete(connection);
    });
    return connection;
  }

  async query(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
    this.#kept ??= this.connect();
    const mine = this.#kept;
    try {
      const connection = await mine;
      const [result, fields] = await connection.query({ sql, values: params as unknown[] });
      return rowsOf(result, fields);
    } catch (error) {
      const fatal = error as { fatal?: boolean; code?: string };
      if (
        this.#kept === mine &&
        (fatal.fatal === true || fatal.code === undefined || /CLOSED|LOST|CONN/.test(fatal.code))
      ) {
        this.#kept = null;
        mine.then((connection) => connection.destroy()).catch(() => {});
      }
      throw error;
    }
  }

  closeAll(): void {
    this.#kept = null;
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }
}

/** Rows of the last statement that gave any; of a statement without rows, its result header as the only row. */
function rowsOf(result: unknown, fields: unknown): Row[] {
  if (!Array.isArray(result)) return [result as Row];
  const several = Array.isArray(fields) && fields.some((one) => one === undefined || Array.isArray(one));
  if (!several) return result as Row[];
  const last = (result as unknown[]).findLast((one) => Array.isArray(one));
  return (last ?? []) as Row[];
}
