/**
 * `npm run bench -- NAME [options]`: measurements beside the server's own, on this machine; prints tables.
 */
import { benchReceive } from './receive.ts';

const benches: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  receive: benchReceive,
};

const [name = '', ...args] = process.argv.slice(2);
const bench = benches[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join('|')} [options]`);
  process.exitCode = 2;
} else {
  await bench(args);
}
