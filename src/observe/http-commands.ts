/**
 * What operators decide, over HTTP: the same requests as over the control socket, carried out and audited by the same desk.
 * Not everything that the socket takes: a page cannot stop the process or make it read its configuration anew.
 */

import { parseRequest } from '../channel/control-requests.ts';
import type { Supervisor } from '../channel/supervisor.ts';

export const HTTP_VERBS: readonly string[] = ['pause', 'resume', 'delay', 'skip', 'approve', 'until'];

/** Throws PROTOCOL, MALFORMED_POSITION for what cannot be understood, and what keeps it from being carried out. */
export function httpCommands(
  handle: Supervisor['handle'],
): (verb: string, fields: Readonly<Record<string, unknown>>, from: string) => Promise<unknown> {
  return async (verb, fields, from) => {
    const { by: _, ...given } = fields;
    const request = { do: verb, ...given, by: { uid: null, user: `http ${from}` } };
    return handle(parseRequest(JSON.stringify(request)));
  };
}
