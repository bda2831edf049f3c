/**
 * A moment as people write it:
 *
 *   2026-02-03T04:05:06Z  2026-02-03 04:05:06.250+01:00     with its zone
 *   2026-02-03 04:05:06   2026-02-03 04:05   2026-02-03     in the time zone of this machine
 */
const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s?(Z|[+-]\d\d:?\d\d)?)?$/i;

/** Milliseconds since the epoch; null: it is none. A day that the calendar does not have is none. */
export function parseMoment(text: string): number | null {
  const match = MOMENT.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match;
  const wall = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0').slice(0, 3)}`;
  // Date rolls the 30th of February over to March: what comes back must be what was written.
  const asUtc = new Date(`${wall}Z`);
  if (Number.isNaN(asUtc.getTime()) || asUtc.toISOString() !== `${wall}Z`) return null;
  const ms = Date.parse(`${wall}${zoneText(zone)}`);
  return Number.isNaN(ms) || ms < 0 ? null : ms;
}

function zoneText(zone: string): string {
  if (zone === '' || /^z$/i.test(zone)) return zone.toUpperCase();
  return zone.includes(':') ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
}
