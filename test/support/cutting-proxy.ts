/**
 * A TCP proxy between Millrace and a server that behaves badly on demand: it cuts a connection after so many bytes, in
 * the middle of whatever they are, swallows everything without closing (a dead peer that nobody announces), or delays.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { SeededRandom } from './seeded-random.ts';

export type Direction = 'to-server' | 'from-server' | 'both';
export type CutStyle = 'reset' | 'close';

export interface CuttingProxyOptions {
  readonly host: string;
  readonly port: number;
  readonly seed?: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

interface Cut {
  left: number;
  readonly direction: Direction;
  readonly style: CutStyle;
  readonly done: () => void;
}

export class CuttingProxy {
  readonly random: SeededRandom;
  /** Connections cut so far. */
  cuts = 0;
  connections = 0;
  bytes = 0;
  /** Bytes that vanished. */
  swallowed = 0;
  readonly #listener: Server;
  #target: { host: string; port: number };
  readonly #pairs = new Set<Pair>();
  #cut: Cut | null = null;
  #swallowing = false;
  readonly #deaf = new WeakSet<Pair>();
  #refusing = false;
  #delayMs = 0;

  private constructor(options: CuttingProxyOptions) {
    this.random = new SeededRandom(options.seed ?? 1);
    this.#target = { host: options.host, port: options.port };
    this.#listener = createServer((client) => this.#accept(client));
  }

  static async start(options: CuttingProxyOptions): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#listener.once('error', reject);
      proxy.#listener.listen(0, '127.0.0.1', () => resolve());
    });
    return proxy;
  }

  readonly host = '127.0.0.1';

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  /** Live connections. */
  get live(): number {
    return this.#pairs.size;
  }

  /**
   * Cuts the connection that carries the `bytes`-th byte from now on, right behind that byte. Resolves when it is done.
   * Replaces a cut that is still armed.
   */
  cutAfter(bytes: number, direction: Direction = 'both', style: CutStyle = 'reset'): Promise<void> {
    return new Promise((resolve) => {
      this.#cut?.done();
      this.#cut = { left: bytes, direction, style, done: resolve };
    });
  }

  /** As cutAfter, at a random byte up to `bytesMax`, in a random direction and style. */
  cutSomewhere(bytesMax: number): Promise<void> {
    const direction = this.random.pick(['to-server', 'from-server', 'both'] as const);
    const style = this.random.pick(['reset', 'close'] as const);
    return this.cutAfter(this.random.between(1, bytesMax), direction, style);
  }

  disarm(): void {
    this.#cut?.done();
    this.#cut = null;
  }

  /** Cuts every live connection now. */
  cutAll(style: CutStyle = 'reset'): void {
    for (const pair of [...this.#pairs]) this.#sever(pair, style);
  }

  /** From now on bytes vanish, connections stay open: neither side learns anything. */
  swallow(on: boolean): void {
    this.#swallowing = on;
  }

  /** Of the connections that are open now, and of no later ones, bytes vanish. */
  swallowLive(): void {
    for (const pair of this.#pairs) this.#deaf.add(pair);
  }

  /** From now on new connections are closed at once. */
  refuse(on: boolean): void {
    this.#refusing = on;
  }

  /** Every chunk is forwarded this much later (order kept). */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** New connections go there; those that are open stay where they are, as behind a virtual address. */
  moveTo({ host, port }: CuttingProxyOptions): void {
    this.#target = { host, port };
  }

  async stop(): Promise<void> {
    this.disarm();
    for (const pair of [...this.#pairs]) this.#sever(pair, 'close', false);
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    this.connections += 1;
    const server = connect({ ...this.#target, noDelay: true, allowHalfOpen: false });
    client.setNoDelay(true);
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    const forget = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const [from, to, direction] of [
      [client, server, 'to-server'],
      [server, client, 'from-server'],
    ] as const) {
      from.on('data', (chunk: Buffer) => this.#forward(pair, from, to, direction, chunk));
      from.on('end', () => this.#later(() => to.end()));
      from.on('error', forget);
      from.on('close', () => this.#later(forget));
    }
  }

  #forward(
    pair: Pair,
    from: Socket,
    to: Socket,
    direction: 'to-server' | 'from-server',
    chunk: Buffer,
  ): void {
    if (this.#swallowing || this.#deaf.has(pair)) {
      this.swallowed += chunk.length;
      return;
    }
    const cut = this.#cut;
    if (cut !== null && (cut.direction === 'both' || cut.direction === direction)) {
      if (chunk.length >= cut.left) {
        this.#cut = null;
        const last = chunk.subarray(0, cut.left);
        this.bytes += last.length;
        // What was forwarded must arrive before the cut does: a reset would throw it away on the way.
        to.write(last, () => {
          this.#sever(pair, cut.style);
          cut.done();
        });
        from.pause();
        return;
      }
      cut.left -= chunk.length;
    }
    this.bytes += chunk.length;
    this.#later(() => {
      if (to.destroyed) return;
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
  }

  #later(action: () => void): void {
    if (this.#delayMs === 0) action();
    else setTimeout(action, this.#delayMs);
  }

  #sever(pair: Pair, style: CutStyle, count = true): void {
    if (!this.#pairs.delete(pair)) return;
    if (count) this.cuts += 1;
    for (const socket of [pair.client, pair.server]) {
      if (style === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}
