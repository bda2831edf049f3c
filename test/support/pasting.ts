/**
 * What a test of `millrace check` expects: exactly these findings, and, when what they print is pasted as it is, none.
 */
import { expect } from 'vitest';
import { type CheckedSetup, wrongOnes } from './checked-setup.ts';

/** Found, exactly; pasted, in the order in which they are told; and nothing is wrong any more. */
export async function foundAndMended(setup: CheckedSetup, ...expected: readonly string[]): Promise<void> {
  const spoiled = await setup.check();
  expect(wrongOnes(spoiled)).toEqual(expected);
  expect(spoiled.code).toBe(expected.some((each) => each.endsWith('error')) ? 1 : 0);
  const wrong = spoiled.findings.filter(({ level }) => level !== 'ok');
  const pasted = new Set<string>();
  for (const { remedy, id } of wrong) {
    expect(remedy, id).not.toBeNull();
    if (remedy === null || pasted.has(remedy.text)) continue;
    pasted.add(remedy.text);
    await setup.paste(remedy);
  }
  const mended = await setup.check();
  expect(wrongOnes(mended)).toEqual([]);
  expect(mended.code).toBe(0);
}

export async function foundOnly(setup: CheckedSetup, ...expected: readonly string[]): Promise<void> {
  const checked = await setup.check();
  expect(wrongOnes(checked)).toEqual(expected);
}

/** As after loading a copy of the source: nothing is left to be fetched. */
export async function targetHasAll({ source, target }: CheckedSetup): Promise<void> {
  const [row] = await source.query('SELECT @@GLOBAL.gtid_executed AS executed');
  const [missing] = await target.query('SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS gtids', [
    row?.executed,
  ]);
  if (missing?.gtids !== '') await target.query('SET GLOBAL gtid_purged = ?', [`+${missing?.gtids}`]);
}
