/**
 * KILL QUERY to every session that works on a server, again and again, as long as something is done there.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TestServer } from './test-server.ts';

const LOOK_EVERY_MS = 100;
const PAUSE_MS = 2;

/** `onKill`: how many it were until now. Rejects with what `work` rejects with. */
export async function whileKilling(
  server: TestServer,
  work: Promise<unknown>,
  onKill: (killed: number) => Promise<unknown> = async () => {},
): Promise<number> {
  const killer = await server.connect();
  let over = false;
  const worked = work
    .then(
      () => null,
      (error: unknown) => ({ error }),
    )
    .finally(() => {
      over = true;
    });
  let killed = 0;
  let ids = new Set<number>();
  let lookedAt = 0;
  while (!over) {
    if (Date.now() - lookedAt > LOOK_EVERY_MS) {
      lookedAt = Date.now();
      const [rows] = await killer.query(
        "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND ID <> CONNECTION_ID()",
      );
      ids = new Set([...ids, ...(rows as { id: number }[]).map(({ id }) => Number(id))]);
    }
    for (const id of ids) {
      const isThere = await killer.query(`KILL QUERY ${id}`).then(
        () => true,
        () => false,
      );
      if (isThere) await onKill(++killed);
      else ids.delete(id);
    }
    await delay(PAUSE_MS);
  }
  await killer.end();
  const failed = await worked;
  if (failed !== null) throw failed.error;
  return killed;
}
