/**
 * What operators decide, over HTTP: the same requests as over the control socket, carried out and audited by the same desk.
 * Not everything that the socket takes: a page cannot stop the process or make it read its configuration anew. The verb is the
 * path's alone, and who asked is the connection's: nothing in a body has a say in either.
 */

import { MillraceError } from '../base/errors.ts';
import { parseRequest } from '../channel/control-requests.ts';
import type { Supervisor } from '../channel/supervisor.ts';

export const HTTP_VERBS: readonly string[] = ['pause', 'resume', 'delay', 'skip', 'approve', 'until'];

/** Throws PROTOCOL, MALFORMED_POSITION for what cannot be understood, and what keeps it from being carried out. */
export function httpCommands(
  handle: Supervisor['handle'],
): (verb: string, fields: Readonly<Record<string, unknown>>, from: string) => Promise<unknown> {
  return async (verb, fields, from) => {
    if (!HTTP_VERBS.includes(verb)) throw wrong(`no such verb; known are ${HTTP_VERBS.join(', ')}`);
    if (fields.do !== undefined && fields.do !== verb) {
      throw wrong(`${verb}: the body has a field "do" that names something else; nothing was done`);
    }
    const request = { ...fields, do: verb, by: { uid: null, user: `http ${from}` } };
    return handle(parseRequest(JSON.stringify(request)));
  };
}

function wrong(message: string): MillraceError {
  return new MillraceError('PROTOCOL', message);
}
