/**
 * What is logged is a constant phrase and keys: a message that is put together cannot be searched for, and may carry what must not
 * be seen.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../support/repository.ts';

const CALL = /\blog\??\.(debug|info|warn|error)\(\s*/gi;
/** Where entries of other threads are passed on. */
const PASSES_ON = ['channel/log.ts'];

test('every message in the log is a constant phrase', () => {
  const source = join(repositoryRoot, 'src');
  const wrong: string[] = [];
  let calls = 0;
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || PASSES_ON.includes(name)) continue;
    const text = readFileSync(join(source, name), 'utf8');
    for (const match of text.matchAll(CALL)) {
      calls += 1;
      const rest = text.slice(match.index + match[0].length);
      if (!/^(?:'[^'\n]+'|"[^"\n]+")\s*[,)]/.test(rest))
        wrong.push(`${name}: ${match[0]}${rest.slice(0, 60)}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(calls).toBeGreaterThan(20);
});
