/**
 * `npm run docs:errors`: writes docs/errors.md. Run through run-compiled.mjs, so its own place is not the repository's.
 */
import { writeFileSync } from 'node:fs';
import { ERRORS_PAGE, errorsPage } from './errors-page.ts';

writeFileSync(ERRORS_PAGE, errorsPage());
console.log(`${ERRORS_PAGE} is written`);
