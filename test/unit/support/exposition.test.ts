import { expect, test } from 'vitest';
import { lintExposition, parseExposition } from '../../support/exposition.ts';

const HEAD = '# HELP a Help.\n# TYPE a gauge\n';

test('what is right is read', () => {
  expect(parseExposition(`${HEAD}a{x="1\\"\\\\\\n",y=""} 1.5e3\na -Inf\n\n`)).toEqual([
    {
      name: 'a',
      help: 'Help.',
      type: 'gauge',
      samples: [
        { name: 'a', labels: { x: '1"\\\n', y: '' }, value: 1500 },
        { name: 'a', labels: {}, value: Number.NEGATIVE_INFINITY },
      ],
    },
  ]);
});

test.each([
  ['an open end', 'a 1'],
  ['a sample without a family', 'a 1\n'],
  ['a sample of another family', `${HEAD}b 1\n`],
  ['the same sample twice', `${HEAD}a 1\na 2\n`],
  ['the same labels in another order', `${HEAD}a{x="1",y="2"} 1\na{y="2",x="1"} 2\n`],
  ['a type without help', '# TYPE a gauge\n'],
  ['a type twice', `${HEAD}${HEAD}`],
  ['an unknown type', '# HELP a b\n# TYPE a number\n'],
  ['a line feed in a label', `${HEAD}a{x="1\n2"} 1\n`],
  ['an unknown escape', `${HEAD}a{x="\\t"} 1\n`],
  ['a label without quotes', `${HEAD}a{x=1} 1\n`],
  ['a word for a number', `${HEAD}a null\n`],
  ['nothing for a number', `${HEAD}a \n`],
  ['a bad name', `${HEAD}a-b 1\n`],
])('%s is refused', (_what, text) => {
  expect(() => parseExposition(text)).toThrow();
});

test('what promtool would object to is objected to', () => {
  const families = parseExposition('# HELP aB_ms .\n# TYPE aB_ms counter\naB_ms{xY="1"} 1\n');
  expect(lintExposition(families)).toHaveLength(4);
});
