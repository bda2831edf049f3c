/**
 * Every input that once broke a decoder, and a short run of the fuzzer with a fixed seed. `npm run fuzz` is the long one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { readCorpus } from '../../fuzz/corpus.ts';
import { listDecoders } from '../../fuzz/decoders.ts';
import { emptyStats, type FuzzDecoder, fuzz, judge, judgeAsync, judgeBounds } from '../../fuzz/fuzzer.ts';
import { removeFuzzFolder } from '../../fuzz/relay-decoders.ts';
import { repositoryRoot } from '../../support/repository.ts';

const fixtures = join(repositoryRoot, 'test', 'fixtures');
const decoders = listDecoders(readCorpus(fixtures));
const findings = readdirSync(join(fixtures, 'fuzz')).filter((name) => name.endsWith('.bin'));

const SEED = 20_260_101;
const INPUTS = 20_000;
const weights = decoders.reduce((sum, each) => sum + each.weight, 0);

afterAll(removeFuzzFolder);

const decoderOf = (name: string): FuzzDecoder => {
  const decoder = decoders.find((each) => each.name === name);
  if (decoder === undefined) throw new Error(`no decoder ${name}: was it renamed?`);
  return decoder;
};

describe('inputs that once broke a decoder', () => {
  test.each(findings)('%s', async (name) => {
    const decoder = decoderOf(name.slice(0, name.lastIndexOf('-')));
    const input = readFileSync(join(fixtures, 'fuzz', name));
    if (decoder.runAsync !== undefined) {
      expect(await judgeAsync(decoder, input, emptyStats())).toBeNull();
    } else {
      expect(judge(decoder, input, emptyStats())).toBeNull();
      expect(judgeBounds(decoder, input)).toBeNull();
    }
  });
});

describe('damaged inputs end in a value or a typed error', () => {
  test.each(decoders.map((each) => each.name))('%s', async (name) => {
    const decoder = decoderOf(name);
    const found: string[] = [];
    const to = Math.ceil((INPUTS * decoder.weight) / weights);
    const stats = await fuzz(decoder, {
      seed: SEED,
      from: 0,
      to,
      onFinding: (finding) => found.push(finding.why),
    });
    expect(found).toEqual([]);
    expect(stats.inputs).toBe(to);
  });
});

describe('the fuzzer sees', () => {
  const seeds = [Buffer.from('0123456789')];
  const whyOf = (run: FuzzDecoder['run'] & object): string | null => {
    const decoder: FuzzDecoder = { name: 'made-up', weight: 1, seeds, run };
    return judge(decoder, seeds[0]!, emptyStats()) ?? judgeBounds(decoder, seeds[0]!);
  };

  test('an error without a type', () => {
    expect(whyOf((buf, start) => buf.readUInt32LE(start + 8))).toContain('RangeError');
  });

  test('our own assertion, as bytes are never to trip one', () => {
    expect(
      whyOf(() => {
        throw new MillraceError('INTERNAL', 'assertion failed');
      }),
    ).toContain('assertion failed');
  });

  test('a decoder that is slow every time', () => {
    const slow = (): void => {
      for (const end = performance.now() + 60; performance.now() < end; );
    };
    expect(whyOf(slow)).toMatch(/took \d+ ms/);
  });

  test('a look at the bytes behind the input', () => {
    expect(whyOf((buf, _start, end) => buf[end])).toContain('reads past its end');
  });

  test('nothing wrong with typed errors and values', () => {
    expect(whyOf((buf, start, end) => buf.toString('hex', start, end))).toBeNull();
    expect(
      whyOf(() => {
        throw new MillraceError('MALFORMED_EVENT', 'as it should be');
      }),
    ).toBeNull();
  });
});
