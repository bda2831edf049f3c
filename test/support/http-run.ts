/**
 * Millrace between a real source and real targets, with its HTTP side on: what the tests of page, metrics and health ask.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createSourceAccount, createTargetAccount } from './accounts.ts';
import { CuttingProxy } from './cutting-proxy.ts';
import { address, type ConfigMap, MillraceProcess } from './millrace-process.ts';
import { type Flavour, startServer, type TestServer } from './test-server.ts';

export const TOKEN = 'a-token-for-the-tests-1f9a';

export interface HttpRunOptions {
  readonly flavour?: Flavour;
  readonly targets?: readonly string[];
  readonly http?: ConfigMap;
  /** Keys of every target. */
  readonly target?: ConfigMap;
  readonly source?: ConfigMap;
}

// biome-ignore lint/suspicious/noExplicitAny: the status is looked at as what it is, JSON
export type Json = any;

export class HttpRun {
  readonly source: TestServer;
  readonly targets: readonly TestServer[];
  /** Between Millrace and the source. */
  readonly proxy: CuttingProxy;
  readonly millrace: MillraceProcess;

  private constructor(
    source: TestServer,
    targets: readonly TestServer[],
    proxy: CuttingProxy,
    millrace: MillraceProcess,
  ) {
    this.source = source;
    this.targets = targets;
    this.proxy = proxy;
    this.millrace = millrace;
  }

  static async start(options: HttpRunOptions = {}): Promise<HttpRun> {
    const { flavour = 'mysql', targets: names = ['standby'] } = options;
    const [source, ...targets] = await Promise.all([
      startServer({ flavour, name: 'source' }),
      ...names.map((name) => startServer({ flavour, name })),
    ]);
    const proxy = await CuttingProxy.start(source);
    const reading = await createSourceAccount(source);
    const applying = await Promise.all(targets.map((target) => createTargetAccount(target)));
    const millrace = await MillraceProcess.start(
      [
        {
          name: 'orders',
          source: { ...address(proxy), ...reading, tls: 'disabled', heartbeat: '500ms', ...options.source },
          targets: targets.map((target, index) => ({
            name: names[index],
            ...address(target),
            ...applying[index],
            tls: 'disabled',
            ...options.target,
          })),
        },
      ],
      { http: { listen: '127.0.0.1:0', token: TOKEN, ...options.http } },
    );
    return new HttpRun(source, targets, proxy, millrace);
  }

  get target(): TestServer {
    return this.targets[0]!;
  }

  /** As the log tells it. */
  get url(): string {
    const url = this.millrace.output.match(/"url":"(http:\/\/[^"]+\/)"/g)?.at(-1);
    if (url === undefined) throw new Error(`http does not listen:\n${this.millrace.tail()}`);
    return url.slice('"url":"'.length, -1);
  }

  get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(new URL(path, this.url), init);
  }

  async status(): Promise<Json> {
    return (await this.get('status.json')).json();
  }

  async channel(): Promise<Json> {
    return (await this.status()).channels[0];
  }

  post(verb: string, fields: ConfigMap, headers: Record<string, string> = {}): Promise<Response> {
    return this.get(`api/${verb}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
      body: JSON.stringify(fields),
    });
  }

  /** Asks for the status until `condition` holds of its channel. */
  async until(what: string, condition: (channel: Json) => boolean, timeoutMs = 60_000): Promise<Json> {
    const deadline = Date.now() + timeoutMs;
    let channel: Json = null;
    for (;;) {
      channel = await this.channel().catch(() => channel);
      if (channel !== null && condition(channel)) return channel;
      if (Date.now() > deadline) {
        throw new Error(
          `waited ${timeoutMs} ms for: ${what}\n${JSON.stringify(channel, null, 1)}\n${this.millrace.tail()}`,
        );
      }
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    await this.millrace.remove();
    await this.proxy.stop();
    await Promise.all([this.source, ...this.targets].map((server) => server.stop()));
  }
}
