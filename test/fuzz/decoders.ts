/**
 * Every decoder that reads bytes from a socket or a disk, behind one call: the list that is fuzzed.
 */
import { GtidSet } from '../../src/binlog/gtid-set.ts';
import { parsePositionSet } from '../../src/binlog/position-set.ts';
import { changeDecoders } from './change-decoders.ts';
import { compressedDecoders } from './compressed-decoders.ts';
import type { Corpus } from './corpus.ts';
import { dumpDecoders } from './dump-decoders.ts';
import { eventDecoders } from './event-decoders.ts';
import type { FuzzDecoder } from './fuzzer.ts';
import { relayDecoders } from './relay-decoders.ts';
import { rowDecoders } from './row-decoders.ts';
import { rulesDecoders } from './rules-decoders.ts';
import { wireDecoders } from './wire-decoders.ts';

export function listDecoders(corpus: Corpus): FuzzDecoder[] {
  return [
    gtidSet,
    gtidSetText,
    positionText,
    ...eventDecoders(corpus),
    ...rowDecoders(corpus),
    ...changeDecoders(corpus),
    ...compressedDecoders(corpus),
    ...wireDecoders(),
    ...relayDecoders(corpus),
    ...dumpDecoders(corpus),
    ...rulesDecoders(),
  ];
}

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const GTID_TEXTS = [
  '',
  `${UUID}:1`,
  `${UUID}:1-5:7-9:11,2c256447-3f0d-431b-9a25-bddf1f1f6ef6:1-27`,
  `${UUID}:1-5:tag_a:1:tag_b:2-3:9223372036854775806`,
  `${UUID}:only_tag:1-1000000`,
];

const gtidSet: FuzzDecoder = {
  name: 'gtid-set',
  weight: 1,
  seeds: GTID_TEXTS.map((text) => GtidSet.parse(text).encode()),
  run: (buf, start, end) => {
    const set = GtidSet.decode(buf, start, end);
    return [set.toString(), set.count(), set.encode()];
  },
};

const gtidSetText: FuzzDecoder = {
  name: 'gtid-set-text',
  weight: 0.5,
  seeds: GTID_TEXTS.map((text) => Buffer.from(text)),
  run: (buf, start, end) => GtidSet.parse(buf.toString('latin1', start, end)).encode(),
};

const positionText: FuzzDecoder = {
  name: 'position-text',
  weight: 0.5,
  seeds: ['0-1-1234,1-3-45', '0-1-18446744073709551615', 'binlog.000007:4021', 'a:b.c.12:4'].map((t) =>
    Buffer.from(t),
  ),
  run: (buf, start, end) => {
    const text = buf.toString('latin1', start, end);
    return parsePositionSet(text.includes('.') ? 'position' : 'mariadb', text).toString();
  },
};
