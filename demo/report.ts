/**
 * What the demonstration tells at its end: for somebody who has never seen a GTID.
 */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import type { Equality } from '../test/support/equality.ts';
import type { ShopFigures } from './shop.ts';

export interface DemoFigures {
  readonly servers: string;
  readonly shop: ShopFigures;
  readonly trafficSeconds: number;
  /** Orders that customers placed while Millrace was dead. */
  readonly ordersDuringOutage: number;
  readonly outageSeconds: number;
  /** From the restart until the target had everything that the source had at that moment. */
  readonly catchUpSeconds: number;
  readonly equality: Equality;
}

export function printReport(figures: DemoFigures): void {
  const { equality, shop } = figures;
  const equal = equality.differences.length === 0;
  const rows = new Table({
    head: ['table', 'rows on the source', 'rows on the target', 'same content'],
    ...PLAIN,
  });
  for (const table of equality.tables) {
    rows.push([
      table.table.replaceAll('`', ''),
      right(table.sourceRows),
      right(table.targetRows),
      table.equal ? 'yes' : 'NO',
    ]);
  }
  const facts = new Table({ ...PLAIN });
  facts.push(
    ['servers', figures.servers],
    [
      'traffic',
      `${figures.trafficSeconds.toFixed(0)} s, several customers at once, one table altered in between`,
    ],
    ['orders placed', `${shop.placed} (${shop.paid} paid, ${shop.cancelled} cancelled later)`],
    [
      'what was interrupted',
      `Millrace, killed with -9 in the middle, dead for ${figures.outageSeconds.toFixed(1)} s`,
    ],
    ['orders placed meanwhile', String(figures.ordersDuringOutage)],
    ['time to catch up', `${figures.catchUpSeconds.toFixed(1)} s after the restart`],
    ['rows lost', String(equality.rowsLost)],
    ['rows doubled', String(equality.rowsDoubled)],
    ['verdict', equal ? 'source and target are equal' : 'SOURCE AND TARGET DIFFER'],
  );
  console.log(`\n${rows.toString()}\n${facts.toString()}`);
  for (const difference of equality.differences.slice(0, 10)) console.log(styleText('red', difference));
}

const PLAIN = { style: { head: [], border: [], compact: true } };

function right(value: number): { content: string; hAlign: 'right' } {
  return { content: String(value), hAlign: 'right' };
}
