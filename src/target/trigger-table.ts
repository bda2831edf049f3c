/**
 * Which table a trigger of the target belongs to: DROP TRIGGER does not say.
 */
import type { WireConnection } from '../wire/connection.ts';
import { hexLiteral } from './sql-literal.ts';

/** Null: there is no such trigger, or none that the account may see. */
export async function readTriggerTable(
  control: WireConnection,
  database: string,
  trigger: string,
): Promise<string | null> {
  const text = (name: string): string => `CONVERT(${hexLiteral(name)} USING utf8mb4)`;
  const rows = await control.query(
    `SELECT EVENT_OBJECT_TABLE AS t FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=${text(database)} AND TRIGGER_NAME=${text(trigger)}`,
    'look a trigger up on the target',
  );
  return rows[0]?.t ?? null;
}
