/**
 * The page in Chromium, between real servers: desktop and phone, light and dark. SCREENSHOTS=docs/images keeps what it looked like.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { HttpRun, type Json, TOKEN } from '../support/http-run.ts';
import { comparePage } from '../support/page-check.ts';
import { repositoryRoot } from '../support/repository.ts';

const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };
const FOLDER = process.env.SCREENSHOTS;

let run: HttpRun;
let browser: Browser;
let loading = true;
let load: Promise<void>;

beforeAll(async () => {
  [run, browser] = await Promise.all([
    HttpRun.start({ targets: ['standby', 'reporting'] }),
    launchChromium(),
  ]);
  const source = await run.source.connect();
  await source.query('CREATE DATABASE shop');
  await source.query('CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(100))');
  load = (async () => {
    for (let n = 0; loading; n++) {
      await source.query("INSERT INTO shop.orders (note) VALUES ('a'), ('b'), ('c')");
      await delay(20 + 30 * (1 + Math.sin(n / 40)));
    }
    source.destroy();
  })();
  await run.until('it runs', ({ state }) => state === 'running');
});
afterAll(async () => {
  loading = false;
  await load;
  await browser?.close();
  await run?.stop();
});

interface Opened {
  readonly page: Page;
  /** What the browser complained of. */
  readonly complaints: string[];
  /** Every status that the page got, by its `now`. */
  readonly statuses: Map<string, Json>;
}

async function open(viewport: typeof DESKTOP, colorScheme: 'light' | 'dark'): Promise<Opened> {
  const page = await browser.newPage({ viewport, colorScheme });
  const complaints: string[] = [];
  const statuses = new Map<string, Json>();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  await page.route('**/status.json', async (route) => {
    const response = await route.fetch().catch(() => null);
    if (response === null) return route.abort();
    const status = await response.json();
    statuses.set(status.now, status);
    return route.fulfill({ response, json: status });
  });
  await page.goto(run.url);
  await page.locator('.channel .pill').first().waitFor();
  return { page, complaints, statuses };
}

async function shoot(page: Page, name: string): Promise<void> {
  if (FOLDER === undefined) return;
  mkdirSync(join(repositoryRoot, FOLDER), { recursive: true });
  await page.screenshot({ path: join(repositoryRoot, FOLDER, `${name}.png`), fullPage: true });
}

/** Several times, while it moves. */
async function compare({ page, statuses }: Opened, times = 3): Promise<number> {
  let compared = 0;
  for (let n = 0; n < times; n++) {
    await delay(1100);
    const verdict = await comparePage(page, statuses);
    expect(verdict.wrong).toEqual([]);
    compared += verdict.compared;
  }
  return compared;
}

describe('the page', () => {
  test.each([
    ['desktop', DESKTOP, 'light'],
    ['desktop', DESKTOP, 'dark'],
    ['phone', PHONE, 'light'],
    ['phone', PHONE, 'dark'],
  ] as const)(
    'on a %s %o in %s: every number is that of the status, and the browser complains of nothing',
    async (name, size, scheme) => {
      if (FOLDER !== undefined) await delay(20_000);
      const opened = await open(size, scheme);
      expect(await compare(opened)).toBeGreaterThan(100);
      const { page, complaints } = opened;
      // Nothing is wider than the window.
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(
        size.width,
      );
      await shoot(page, `page-${name}-${scheme}`);
      expect(complaints).toEqual([]);
      await page.close();
    },
  );

  test('a number that were not that of the status would be noticed', async () => {
    const { page, statuses } = await open(DESKTOP, 'light');
    await delay(1100);
    await page.evaluate(`
      document.querySelector('[data-path$="relay_log.bytes"]').textContent = '7 B';
      document.querySelector('.figures dt').textContent = 'last heard 5 times';
      document.querySelector('[data-part-of]').textContent = '1-99999999';`);
    const { wrong } = await comparePage(page, statuses);
    expect(wrong).toHaveLength(3);
    await page.close();
  });

  test('it can be used by keyboard alone, and every control has a name', async () => {
    const { page, complaints } = await open(DESKTOP, 'light');
    const nameless = await page.evaluate<string[]>(`
      [...document.querySelectorAll('button, input, a, [role=img]')]
        .filter((element) => element.getClientRects().length > 0)
        .filter((element) => !(element.getAttribute('aria-label') ?? element.textContent ?? '').trim())
        .map((element) => element.outerHTML)`);
    expect(nameless).toEqual([]);
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('To the channels');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.id')).toBe('unlock');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    expect(await page.evaluate('document.activeElement.tagName')).toBe('INPUT');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('an operator pauses and resumes a target with the token; a wrong one is said, and is nowhere on the page', async () => {
    const opened = await open(DESKTOP, 'light');
    const { page } = opened;
    await page.getByRole('button', { name: 'Pause reporting' }).click();
    await page.getByLabel('Token').fill('not-the-token-at-all');
    await page.getByRole('button', { name: 'Unlock', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true }).click();
    await expect.poll(() => page.locator('.trouble').textContent()).toBe('the token is wrong');
    await page.getByRole('button', { name: 'Cancel' }).click();

    await page.getByRole('button', { name: 'Unlock controls' }).click();
    await page.getByLabel('Token').fill(TOKEN);
    await page.getByRole('button', { name: 'Unlock', exact: true }).click();
    await page.getByRole('button', { name: 'Pause reporting' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true }).click();
    await run.until('it is paused', ({ targets }) => targets[1].state === 'paused');
    await page.getByRole('button', { name: 'Resume reporting' }).waitFor();
    await compare(opened, 2);
    await shoot(page, 'page-paused-light');
    await page.getByRole('button', { name: 'Resume reporting' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume', exact: true }).click();
    await run.until('it is resumed', ({ targets }) => targets[1].state === 'running');
    const html = await page.evaluate<string>(
      'document.documentElement.outerHTML + JSON.stringify({ ...localStorage, ...sessionStorage })',
    );
    expect(html).not.toContain(TOKEN);
    await page.close();
  });

  test('a delay window, and what waits in it', async () => {
    expect((await run.post('delay', { target: 'reporting', ms: 3_600_000 })).status).toBe(200);
    await run.until('something waits', ({ targets }) => targets[1].waiting?.next_due_seconds > 0);
    const opened = await open(DESKTOP, 'dark');
    await opened.page.getByText('behind on purpose').waitFor();
    await compare(opened, 2);
    await shoot(opened.page, 'page-delayed-dark');
    expect((await run.post('delay', { target: 'reporting', ms: 0 })).status).toBe(200);
    expect(opened.complaints).toEqual([]);
    await opened.page.close();
  });

  test('a target that has stopped: the error, its remedy, what can be done', async () => {
    await run.targets[1]!.query('SET GLOBAL super_read_only = OFF');
    await run.targets[1]!.query('DELETE FROM shop.orders WHERE id = 1');
    const connection = await run.source.connect();
    await connection.query("UPDATE shop.orders SET note = 'changed' WHERE id = 1");
    connection.destroy();
    await run.until('it stops', ({ targets }) => targets[1].state === 'stopped');
    const opened = await open(PHONE, 'light');
    await opened.page.locator('.target .error:not([hidden])').waitFor();
    await compare(opened, 2);
    await shoot(opened.page, 'page-stopped-phone');
    expect(await opened.page.getByRole('button', { name: /^Skip .* on reporting$/ }).count()).toBe(1);
    await opened.page.getByRole('button', { name: /^What APPLY_FAILED means$/ }).click();
    await opened.page.getByRole('dialog').getByText('APPLY_FAILED').waitFor();
    await opened.page.close();
  });

  test('it asks nothing while nobody sees it, and asks at once when it is seen again', async () => {
    const { page, statuses } = await open(PHONE, 'dark');
    const hide = (hidden: boolean) =>
      page.evaluate(`
        Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));`);
    await hide(true);
    await delay(1500);
    const before = statuses.size;
    await delay(3000);
    expect(statuses.size).toBe(before);
    await hide(false);
    await expect.poll(() => statuses.size).toBeGreaterThan(before);
    await page.close();
  });

  test('when Millrace is gone it says so, and that what it shows is old', async () => {
    const { page } = await open(DESKTOP, 'light');
    await run.millrace.kill9();
    await page.getByText(/^Millrace has not answered for .*: what is shown here is old\.$/).waitFor();
    await page.close();
  });
});
