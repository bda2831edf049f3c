/**
 * Puts the HTTP side together: routes, page, metrics and commands around one observer.
 */
import type { Logger } from '../base/runtime.ts';
import type { Supervisor } from '../channel/supervisor.ts';
import type { HttpConfig } from '../config/config.ts';
import { HTTP_VERBS, httpCommands } from './http-commands.ts';
import { HttpServer } from './http-server.ts';
import { Metrics } from './metrics.ts';
import type { Observer } from './observer.ts';
import { readPageFiles } from './page-files.ts';

/** Throws HTTP_LISTEN. */
export function listenHttp(
  config: HttpConfig,
  observer: Observer,
  handle: Supervisor['handle'],
  log: Logger,
): Promise<HttpServer> {
  const metrics = new Metrics();
  return HttpServer.listen({
    config,
    log,
    observer,
    files: readPageFiles(),
    metrics: async () => ({ type: metrics.type, text: await metrics.text(await observer.status()) }),
    command: httpCommands(handle),
    verbs: HTTP_VERBS,
  });
}
