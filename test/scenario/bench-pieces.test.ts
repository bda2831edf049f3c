/**
 * The bench's own promise: a run counts only when source and target are equal. A load as small as can be.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { withGround } from '../bench/apply.ts';
import { type ApplyGround, applyWithMillrace } from '../bench/apply-run.ts';
import { useLocalServers } from '../bench/bench-server.ts';
import { type Dataset, prepareDataset } from '../bench/dataset.ts';
import { UnequalError } from '../bench/table-checksums.ts';
import { workload } from '../bench/workload.ts';

describe('the bench', () => {
  let dataset: Dataset;
  beforeAll(async () => {
    useLocalServers();
    dataset = await prepareDataset(workload('small', 'receive', 40));
  }, 300_000);

  test('measures a run that ends equal, and fails one that does not', async () => {
    const tampered = async (ground: ApplyGround) =>
      applyWithMillrace(ground, {
        target: {},
        async look(target) {
          await target.query('UPDATE bench.t0 SET k = k + 1 WHERE id = 7');
        },
      });
    await withGround(dataset, async (ground) => {
      const figures = await applyWithMillrace(ground, { target: {} });
      expect(figures.seconds).toBeGreaterThan(0);
      expect(figures.peak).toBeGreaterThan(20);
      await expect(tampered(ground)).rejects.toThrow(UnequalError);
    });
  });
});
