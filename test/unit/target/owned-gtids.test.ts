import { expect, test } from 'vitest';
import { ownedGtids } from '../../../src/target/gtid-progress.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';

test.each([
  ['', []],
  [`${A}:3#12`, [`${A}:3`]],
  [`${A}:3#12:7#14`, [`${A}:3`, `${A}:7`]],
  [`${A}:3#12,\n${B.toUpperCase()}:1#4`, [`${A}:3`, `${B}:1`]],
  [`${A}:tag_1:5#9:6#10`, [`${A}:tag_1:5`, `${A}:tag_1:6`]],
  [`${A}:1#2:tag_1:5#9:other:6#10#11`, [`${A}:1`, `${A}:tag_1:5`, `${A}:other:6`]],
])('gtid_owned %j names %j', (text, ids) => {
  expect(ownedGtids(text)).toEqual(ids);
});
