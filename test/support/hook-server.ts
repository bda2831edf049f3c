/**
 * A webhook for tests: takes JSON on 127.0.0.1 and keeps it; can be told to refuse or to say nothing.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

// biome-ignore lint/suspicious/noExplicitAny: whatever was posted
export type Posted = Record<string, any>;

export class HookServer {
  readonly posted: Posted[] = [];
  readonly #server: Server;
  /** What it does with a body: takes it, refuses it, or never answers. */
  mood: 'taking' | 'refusing' | 'silent' = 'taking';

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<HookServer> {
    const server = createServer();
    const hook = new HookServer(server);
    server.on('request', (request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (part: string) => {
        body += part;
      });
      request.on('end', () => {
        if (hook.mood === 'silent') return;
        if (hook.mood === 'taking') hook.posted.push(JSON.parse(body) as Posted);
        response.statusCode = hook.mood === 'taking' ? 204 : 500;
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return hook;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
