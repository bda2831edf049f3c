/**
 * A session of a test server that statements are sent to as bytes, in whatever charset the test speaks.
 */
import { CommandPipe, type Reply } from '../../src/wire/command-pipe.ts';
import { openConnection } from '../../src/wire/connection.ts';
import type { TestServer } from './test-server.ts';

export interface RawSession {
  readonly threadId: number;
  readonly pipe: CommandPipe;
  /** One statement, made of its parts; an error reply rejects. */
  sql(...parts: readonly (string | Buffer)[]): Promise<Reply>;
  /** The same; an error reply is a value. */
  reply(...parts: readonly (string | Buffer)[]): Promise<Reply>;
  /** The only column of the only row. */
  value(sql: string): Promise<string | null | undefined>;
  close(): void;
}

/** `flags`: additional client flags in mysql2's names. */
export async function openRawSession(server: TestServer, flags: readonly string[] = []): Promise<RawSession> {
  const endpoint = {
    host: server.host,
    port: server.port,
    user: server.rootUser,
    password: server.rootPassword,
    tls: { mode: 'disabled' },
    connectTimeoutMs: 10_000,
  } as const;
  const connection = await openConnection(endpoint, { purpose: 'a test server', flags });
  const { threadId, peer } = connection;
  const pipe = new CommandPipe(connection.takeSocket(), peer);
  const reply = async (...parts: readonly (string | Buffer)[]): Promise<Reply> => {
    const pieces = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
    const [answer] = await pipe.run([pieces]);
    return answer!;
  };
  return {
    threadId,
    pipe,
    reply,
    async sql(...parts) {
      const answer = await reply(...parts);
      if (!answer.ok) throw new Error(`${answer.errno} ${answer.message}: ${parts.join('').slice(0, 200)}`);
      return answer;
    },
    async value(sql) {
      const answer = await pipe.query(sql);
      if (!answer.ok) throw new Error(`${answer.errno} ${answer.message}: ${sql}`);
      return answer.rows[0]?.[0];
    },
    close: () => pipe.close(),
  };
}
