import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { crc32 } from '../../../src/binlog/checksum.ts';
import { type SavedSourceClock, SPANS_MAX } from '../../../src/relay/source-clock.ts';
import { loadSourceClock, saveSourceClock, sourceClockPath } from '../../../src/relay/source-clock-file.ts';
import { temporaryFolder } from '../../support/repository.ts';

const ERA = 'boot:b91af5ed-b339-4905-be65-06c76c526b95,time:4026531834';
const NOW = 9_000_000;
const OFFSET = 1_700_000_000_000;

const SAVED: SavedSourceClock = {
  reading: { atMs: 8_000_000, lowMs: OFFSET - 0.25, highMs: OFFSET + 0.25, wallMs: OFFSET + 8_000_000 },
  regimes: [{ lowMs: OFFSET - 0.25, highMs: OFFSET + 0.25, untilMs: 8_000_000 }],
  spans: [
    {
      end: { fileNumber: 3, offset: 4_711 },
      committedByMs: 7_000_000,
      lowMs: null,
      topMs: null,
      confirmed: true,
      sealed: true,
    },
    {
      end: { fileNumber: 4, offset: 194 },
      committedByMs: 8_000_000,
      lowMs: OFFSET - 0.25,
      topMs: OFFSET - 0.125,
      confirmed: true,
      sealed: false,
    },
  ],
};

let path: string;

beforeEach(() => {
  path = sourceClockPath(temporaryFolder('clock'));
});

/** With a right checksum, whatever it holds. */
function write(value: unknown): void {
  const json = Buffer.from(`${JSON.stringify(value)}\n`, 'latin1');
  const sum = crc32(json, 0, json.length).toString(16).padStart(8, '0');
  writeFileSync(path, Buffer.concat([Buffer.from(`${sum}\n`), json]));
}

function whole(change: object = {}): object {
  return { version: 1, era: ERA, ...SAVED, ...change };
}

function span(change: object): object {
  return { ...SAVED.spans[1], ...change };
}

describe("what is known about the source's clock", () => {
  test('is as it was after a restart', async () => {
    await saveSourceClock(path, ERA, SAVED);
    const clock = loadSourceClock(path, ERA, NOW);
    expect(clock.saved()).toEqual(SAVED);
    expect(clock.snapshot()).toMatchObject({ provisional: false, reading: SAVED.reading });
    expect(existsSync(`${path}.tmp`)).toBe(false);
  });

  test('begins with nothing where there is no file', () => {
    expect(loadSourceClock(path, ERA, NOW).snapshot()).toEqual({
      spans: [],
      reading: null,
      provisional: false,
    });
  });

  test.each([
    ['the machine has booted', 'boot:00000000-0000-4000-8000-000000000000,time:4026531834', ERA],
    ['the time namespace is another one', ERA.replace('4026531834', '4026532000'), ERA],
    ['nobody can tell', null, ERA],
    ['nobody could tell when it was written', ERA, null],
  ])('counts no time as passed while %s', async (_what, era, wroteEra) => {
    await saveSourceClock(path, wroteEra, SAVED);
    const clock = loadSourceClock(path, era, 1_000);
    const { spans, provisional } = clock.snapshot();
    expect(provisional).toBe(true);
    expect(spans.map(({ committedByMs }) => committedByMs)).toEqual([-999_000, 1_000]);
    expect(spans[1]!.offsetMs).toBe(OFFSET - 0.25 + 7_999_000);
    // The file keeps the old times until the source was reached.
    expect(clock.saved()).toBeNull();
  });

  test.each<[string, () => void]>([
    ['nothing', () => writeFileSync(path, '')],
    ['a folder', () => mkdirSync(path)],
    ['too much', () => writeFileSync(path, Buffer.alloc(600 * 1024, 0x20))],
    ['other bytes', () => writeFileSync(path, Buffer.from('0000000g\n{}'))],
    ['no JSON', () => writeFileSync(path, 'ffffffff\n{')],
    ['null', () => write(null)],
    ['a list', () => write([])],
    ['another version', () => write(whole({ version: 2 }))],
    ['no era', () => write(whole({ era: 7 }))],
    ['no reading', () => write(whole({ reading: undefined }))],
    ['a reading upside down', () => write(whole({ reading: { ...SAVED.reading, highMs: OFFSET - 1 } }))],
    ['a reading that is no number', () => write(whole({ reading: { ...SAVED.reading, atMs: '8000000' } }))],
    ['a reading from the future', () => write(whole({ reading: { ...SAVED.reading, atMs: NOW + 1 } }))],
    ['no regime', () => write(whole({ regimes: [] }))],
    ['a regime without bounds', () => write(whole({ regimes: [{ untilMs: 0 }] }))],
    ['a time beyond all times', () => write(whole({ spans: [span({ committedByMs: 1e300 })] }))],
    ['a commit in the future', () => write(whole({ spans: [span({ committedByMs: NOW + 1 })] }))],
    ['a place that is none', () => write(whole({ spans: [span({ end: { fileNumber: -1, offset: 4 } })] }))],
    ['a place in parts', () => write(whole({ spans: [span({ end: { fileNumber: 1, offset: 0.5 } })] }))],
    ['a span without a verdict', () => write(whole({ spans: [span({ confirmed: 1 })] }))],
    ['half a pair of bounds', () => write(whole({ spans: [span({ lowMs: null })] }))],
    ['spans out of order', () => write(whole({ spans: [...SAVED.spans].reverse() }))],
    [
      'spans that go back in time',
      () => write(whole({ spans: [SAVED.spans[0], span({ committedByMs: 6_000_000 })] })),
    ],
    [
      'too many spans',
      () =>
        write(
          whole({
            spans: Array.from({ length: SPANS_MAX + 1 }, (_, n) =>
              span({ end: { fileNumber: 1, offset: n } }),
            ),
          }),
        ),
    ],
  ])('is refused when the file holds %s', (_what, spoil) => {
    spoil();
    expect(() => loadSourceClock(path, ERA, NOW)).toThrow(expect.objectContaining({ code: 'DISK' }));
  });

  test('is refused after any flipped bit', async () => {
    await saveSourceClock(path, ERA, SAVED);
    const good = readFileSync(path);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at]! ^= 1 << (at % 8);
      writeFileSync(path, bad);
      expect(() => loadSourceClock(path, ERA, NOW), `byte ${at}`).toThrow('is damaged');
    }
  });

  test('cannot be kept where there is no folder, and says so', async () => {
    const nowhere = join(path, 'nowhere', 'source-clock');
    await expect(saveSourceClock(nowhere, ERA, SAVED)).rejects.toMatchObject({ code: 'DISK' });
  });
});
