/**
 * One source and the targets it is replayed to: run statements on the source, then hold every target against it.
 */
import { ApplierRig, type RigOptions } from './applier-rig.ts';
import { assertEqualServers } from './equality.ts';
import { startServer, type TestServer } from './test-server.ts';

export interface PairOptions {
  readonly flavour: 'mysql' | 'mariadb';
  readonly version?: string;
  readonly sourceArgs?: readonly string[];
  readonly targetArgs?: readonly string[];
  /** One target for each. */
  readonly progress: readonly ('gtid' | 'table')[];
  readonly rig?: RigOptions;
}

export class ReplayPair {
  readonly source: TestServer;
  readonly rigs: readonly ApplierRig[];

  private constructor(source: TestServer, rigs: readonly ApplierRig[]) {
    this.source = source;
    this.rigs = rigs;
  }

  static async start(options: PairOptions): Promise<ReplayPair> {
    const { flavour, version, progress, sourceArgs = [], targetArgs = [] } = options;
    const which = { flavour, ...(version === undefined ? {} : { version }) };
    const [source, ...targets] = await Promise.all([
      startServer({ ...which, name: 'source', args: sourceArgs }),
      ...progress.map((kind) => startServer({ ...which, name: `target-${kind}`, args: targetArgs })),
    ]);
    const rigs = await Promise.all(
      targets.map((target, index) =>
        ApplierRig.create(source, target, { progress: progress[index]!, ...options.rig }),
      ),
    );
    return new ReplayPair(source, rigs);
  }

  /** Runs the statements one by one in one session of the source, as root unless told otherwise. */
  async run(
    statements: readonly string[],
    options: Parameters<TestServer['connect']>[0] = {},
  ): Promise<void> {
    const connection = await this.source.connect(options);
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      await connection.end();
    }
  }

  /** Replays everything to every target, which must then be equal to the source in these schemas. */
  async replay(schemas: readonly string[]): Promise<void> {
    for (const rig of this.rigs) {
      await rig.catchUp();
      await assertEqualServers(this.source, rig.target, { schemas, gtid: rig.progress === 'gtid' });
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.rigs.map((rig) => rig.remove()));
    await Promise.all([this.source, ...this.rigs.map((rig) => rig.target)].map((server) => server.stop()));
  }
}
