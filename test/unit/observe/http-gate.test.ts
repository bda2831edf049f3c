import { describe, expect, test } from 'vitest';
import { gate, hostName, type RequestHead, TokenCheck } from '../../../src/observe/http-gate.ts';

const TOKEN = '0123456789abcdef';
const RULES = { hosts: new Set(['millrace.internal']), token: new TokenCheck(TOKEN) };

function head(change: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    host: '127.0.0.1:9104',
    origin: undefined,
    fetchSite: undefined,
    authorization: undefined,
    contentType: undefined,
    ...change,
  };
}

const POST = head({ method: 'POST', authorization: `Bearer ${TOKEN}`, contentType: 'application/json' });

describe('who may read', () => {
  test.each([
    '127.0.0.1:9104',
    '127.0.0.1',
    '10.1.2.3:80',
    '[::1]:9104',
    'localhost:9104',
    'LOCALHOST',
    'Millrace.Internal:9104',
    undefined,
  ])('whoever calls it %s', (host) => {
    expect(gate(head({ host }), RULES, false)).toBeNull();
  });

  test.each([
    'evil.example',
    'evil.example:9104',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
    'a b',
  ])('not a name that was pointed here: %s', (host) => {
    expect(gate(head({ host }), RULES, false)).toMatchObject({ status: 421 });
  });

  test.each([
    'http://evil.example',
    'https://evil.example:9104',
    'null',
    'file://',
    'http://127.0.0.1.evil.example',
  ])('not the page of another site: %s', (origin) => {
    expect(gate(head({ origin }), RULES, false)).toMatchObject({ status: 403 });
  });

  test.each(['http://127.0.0.1:9104', 'https://127.0.0.1', 'http://millrace.internal'])(
    'our own page: %s',
    (origin) => {
      expect(gate(head({ origin }), RULES, false)).toBeNull();
    },
  );
});

describe('who may change something', () => {
  test('whoever has the token', () => {
    expect(gate(POST, RULES, true)).toBeNull();
    expect(
      gate({ ...POST, fetchSite: 'same-origin', origin: 'http://127.0.0.1:9104' }, RULES, true),
    ).toBeNull();
  });

  test.each<[string, Partial<RequestHead>, number]>([
    ['no token', { authorization: undefined }, 401],
    ['another scheme', { authorization: 'Basic YTpi' }, 401],
    ['an empty token', { authorization: 'Bearer ' }, 401],
    ['a wrong token', { authorization: 'Bearer 0123456789abcdeg' }, 403],
    ['the begin of the token', { authorization: 'Bearer 0123456789abcde' }, 403],
    ['the token and more', { authorization: `Bearer ${TOKEN}x` }, 403],
    ['GET', { method: 'GET' }, 405],
    ['a form', { contentType: 'application/x-www-form-urlencoded' }, 415],
    ['no type', { contentType: undefined }, 415],
    ['another type', { contentType: 'application/jsonx' }, 415],
    ['another site, told by the browser', { fetchSite: 'cross-site' }, 403],
    ['a sibling site', { fetchSite: 'same-site' }, 403],
    ['a foreign origin', { origin: 'http://evil.example' }, 403],
    ['a foreign host', { host: 'evil.example' }, 421],
  ])('not with %s', (_what, change, status) => {
    expect(gate({ ...POST, ...change }, RULES, true)).toMatchObject({ status });
  });

  test('nobody where no token is configured', () => {
    expect(gate(POST, { ...RULES, token: null }, true)).toMatchObject({
      status: 403,
      text: expect.stringContaining('http.token_file'),
    });
  });

  test('a refusal never repeats what was given', () => {
    const text = JSON.stringify(gate({ ...POST, authorization: 'Bearer my-other-secret' }, RULES, true));
    expect(text).not.toContain('my-other-secret');
  });
});

test.each([
  ['Db1.Example:9104', 'db1.example'],
  ['[::1]', '::1'],
  ['::1', null],
  ['a:b', null],
  ['a:123456', null],
  ['a/b', null],
  ['user@host', null],
])('the host in %s is %s', (text, expected) => {
  expect(hostName(text)).toBe(expected);
});
