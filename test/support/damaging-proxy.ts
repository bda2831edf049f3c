/**
 * A TCP proxy that flips one bit in what a server sends: damage that neither TCP nor the server knows about.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class DamagingProxy {
  readonly host = '127.0.0.1';
  /** Bits flipped so far. */
  damaged = 0;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  /** Damages the chunk that holds these bytes, behind them. */
  #marker: Buffer | null = null;
  #forever = false;

  private constructor(target: { host: string; port: number }) {
    this.#listener = createServer((client) => {
      const server = connect(target);
      for (const [from, to, back] of [
        [client, server, false],
        [server, client, true],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (chunk: Buffer) => to.write(back ? this.#damage(chunk) : chunk));
        from.on('error', () => {});
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  static async start(target: { host: string; port: number }): Promise<DamagingProxy> {
    const proxy = new DamagingProxy(target);
    await new Promise<void>((resolve) => proxy.#listener.listen(0, '127.0.0.1', () => resolve()));
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as { port: number }).port;
  }

  /** Flips a bit in the next chunk that contains the marker, or in every one. */
  arm(marker: string, forever = false): void {
    this.#marker = Buffer.from(marker);
    this.#forever = forever;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #damage(chunk: Buffer): Buffer {
    const at = this.#marker === null ? -1 : chunk.indexOf(this.#marker);
    if (at < 0) return chunk;
    this.damaged++;
    const copy = Buffer.from(chunk);
    copy[at]! ^= 0x01;
    if (!this.#forever) this.#marker = null;
    return copy;
  }
}
