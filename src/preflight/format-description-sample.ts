/**
 * A format description of each flavour, as BINLOG takes it before the first row event: what proves that the account may send
 * row events, without one. Taken from the binary logs of 9.7.4 and 10.11.18; a target reads those of other versions, too.
 */
import { neutralFormatDescription } from '../binlog/format-description.ts';
import type { Flavour } from '../wire/connection.ts';

const SAMPLES: Readonly<Record<Flavour, string>> = {
  mysql: `
3aMIaw+qaAAAewAAAH8AAAAAAAQAOS43LjQtMgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADdowhr
EwANAAgAAAAABAAEAAAAYwAEGggAAAAAAAACAAAACgoKKioAEjQACigAAAFUywYd`,
  mariadb: `
26MIaw/NbgAA/AAAAAABAAAAAAQAMTAuMTEuMTgtTWFyaWFEQi0wK2RlYjEydTEtbG9nAAAAAAAAAAAAAAAAAAAAAAAAAADbowhr
EzgNAAgAEgAEBAQEEgAA5AAEGggAAAAICAgCAAAACgoKAAAAAAAACgoKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAEEwQADQgICAoKCgEAtaN7`,
};

/** The whole statement. */
export function formatDescriptionStatement(flavour: Flavour): string {
  const event = neutralFormatDescription(Buffer.from(SAMPLES[flavour].replace(/\s/g, ''), 'base64'));
  return `BINLOG '${event.toString('base64')}'`;
}
