/**
 * The target's max_allowed_packet: a statement beyond it costs the connection, so it is refused before it is sent.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';

const MEBIBYTE = 1 << 20;
/** The servers' own limit. */
const PACKET_MAX = 1 << 30;
/** The command byte, and what a server adds to a statement of its own. */
const MARGIN = 64;

/** `need`: bytes of the statement. `what` names what makes it so long. @throws TARGET_CONFIG */
export function requirePacket(need: number, maxAllowedPacket: number, what: string, facts: ErrorFacts): void {
  if (need + MARGIN <= maxAllowedPacket) return;
  const wanted = Math.min(PACKET_MAX, Math.ceil((need + MARGIN) / MEBIBYTE) * MEBIBYTE);
  throw new MillraceError(
    'TARGET_CONFIG',
    `${what} needs a packet of ${need} bytes, and the target's max_allowed_packet is ${maxAllowedPacket}`,
    {
      hint:
        need + MARGIN > PACKET_MAX
          ? 'No server takes a packet of more than 1 GiB: make the row smaller on the source.'
          : `SET GLOBAL max_allowed_packet=${wanted} (or more) on the target and start again.`,
      facts,
    },
  );
}
