import { describe, expect, test } from 'vitest';
import {
  decodeErrorPacket,
  driverError,
  dumpError,
  missingPrivilege,
  peerName,
  serverError,
} from '../../../src/wire/wire-error.ts';

const peer = { host: 'db1', port: 3306, user: 'repl' };

function dump(message: string, errno = 1236) {
  return dumpError({ errno, sqlState: 'HY000', message }, peer);
}

describe('error 1236 is told apart by its text', () => {
  test.each([
    [
      'Cannot replicate because the source purged required binary logs. Replicate the missing…',
      'SOURCE_PURGED',
    ],
    [
      'The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has purged binary logs containing GTIDs that the slave requires.',
      'SOURCE_PURGED',
    ],
    [
      'Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.',
      'SOURCE_PURGED',
    ],
    ['Could not find first log file name in binary log index file', 'SOURCE_PURGED'],
    [
      "Replica has more GTIDs than the source has, using the source's SERVER_UUID. This may indicate that the end of the binary log was truncated or that the last binary log file was lost",
      'SOURCE_BEHIND',
    ],
    ["Slave has more GTIDs than the master has, using the master's SERVER_UUID.", 'SOURCE_BEHIND'],
    [
      "Error: connecting slave requested to start from GTID 0-1-5, which is not in the master's binlog",
      'SOURCE_BEHIND',
    ],
    ['Client requested source to start replication from position > file size', 'SOURCE_POSITION'],
    ['Client requested master to start replication from impossible position', 'SOURCE_POSITION'],
    [
      'A replica with the same server_uuid/server_id as this replica has connected to the source; the first event…',
      'DUPLICATE_IDENTITY',
    ],
    [
      'A slave with the same server_uuid/server_id as this slave has connected to the master; the first event…',
      'DUPLICATE_IDENTITY',
    ],
    ['bogus data in log event; the first event …', 'SOURCE_DAMAGED'],
    ['event read from binlog did not pass crc check; the first event', 'SOURCE_DAMAGED'],
    ['binlog truncated in the middle of event; consider out of disk space on source', 'SOURCE_DAMAGED'],
    ['log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source', 'SOURCE_DAMAGED'],
    ['Binary log is not open', 'SOURCE_CONFIG'],
    ['Misconfigured source - server_id was not set', 'SOURCE_CONFIG'],
    [
      'The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead of ON.',
      'SOURCE_CONFIG',
    ],
    ['Failed on my_net_write()', 'CONNECTION_LOST'],
    ['something nobody has heard of', 'SOURCE_DAMAGED'],
  ])('%s', (message, code) => {
    const error = dump(message);
    expect(error.code).toBe(code);
    expect(error.message).toContain("db1:3306 as 'repl'");
    expect(error.facts.errno).toBe(1236);
  });

  test('a lost tail is not taken for damage, although its text says truncated', () => {
    const text = 'Replica has more GTIDs than the source has … the end of the binary log was truncated';
    expect(dump(text)).toMatchObject({ code: 'SOURCE_BEHIND', action: 'stop' });
  });

  test('MariaDB gives the same id a number of its own', () => {
    const text = 'A slave with the same server_uuid/server_id is already connected';
    expect(dump(text, 4052)).toMatchObject({ code: 'DUPLICATE_IDENTITY', action: 'retry' });
  });

  test('a missing privilege is told with its GRANT', () => {
    expect(
      dump('Access denied; you need (at least one of) the REPLICATION SLAVE privilege(s)', 1227),
    ).toMatchObject({
      code: 'PRIVILEGE_MISSING',
      hint: "GRANT REPLICATION SLAVE ON *.* TO 'repl'",
    });
  });

  test('a shutdown passes', () => {
    expect(dump('Server shutdown in progress', 1053)).toMatchObject({
      code: 'CONNECTION_LOST',
      action: 'retry',
    });
  });
});

describe('what the driver raises', () => {
  const at = (code: string, more: object = {}) =>
    driverError(Object.assign(new Error('driver text'), { code, ...more }), peer, 'connect to the source');

  test.each([
    ['ECONNREFUSED', 'CONNECTION_LOST'],
    ['ENOTFOUND', 'CONNECTION_LOST'],
    ['ETIMEDOUT', 'CONNECTION_LOST'],
    ['ECONNRESET', 'CONNECTION_LOST'],
    ['PROTOCOL_CONNECTION_LOST', 'CONNECTION_LOST'],
    ['HANDSHAKE_NO_SSL_SUPPORT', 'TLS'],
    ['HANDSHAKE_SSL_ERROR', 'TLS'],
    ['AUTH_SWITCH_PLUGIN_ERROR', 'ACCESS_DENIED'],
    ['PROTOCOL_ERROR', 'PROTOCOL'],
    ['SOMETHING_NEW', 'CONNECTION_LOST'],
  ])('%s means %s and names the server and the user', (code, expected) => {
    const error = at(code);
    expect(error.code).toBe(expected);
    expect(error.message).toMatch(/^cannot connect to the source at db1:3306 as 'repl': /);
  });

  test.each([
    [1045, 'ACCESS_DENIED'],
    [1129, 'ACCESS_DENIED'],
    [1130, 'ACCESS_DENIED'],
    [3118, 'ACCESS_DENIED'],
    [1698, 'ACCESS_DENIED'],
    [1040, 'CONNECTION_LOST'],
    [1053, 'CONNECTION_LOST'],
    [3159, 'TLS'],
    [1227, 'PRIVILEGE_MISSING'],
  ])('server error %i means %s, with a remedy', (errno, expected) => {
    const error = at('ER_X', { errno, sqlState: '28000', sqlMessage: 'server text' });
    expect(error).toMatchObject({ code: expected, facts: { errno, sqlState: '28000' } });
    if (errno !== 1053) expect(error.hint).toBeTruthy();
  });

  test('a connection that dies inside of the TLS handshake is the network, not the certificate', () => {
    const text = 'Client network socket disconnected before secure TLS connection was established';
    expect(driverError(Object.assign(new Error(text), { code: 'HANDSHAKE_SSL_ERROR' }), peer, 'x').code).toBe(
      'CONNECTION_LOST',
    );
  });

  test('an unknown authentication plugin is named', () => {
    const text = 'Server requests authentication using unknown plugin client_ed25519. See TODO';
    const error = driverError(
      Object.assign(new Error(text), { code: 'AUTH_SWITCH_PLUGIN_ERROR' }),
      peer,
      'x',
    );
    expect(error.message).toContain('client_ed25519');
  });

  test('the statement that the driver puts on its errors is not kept', () => {
    const error = at('ER_X', {
      errno: 1064,
      sqlState: '42000',
      sqlMessage: 'syntax',
      sql: 'SET PASSWORD = secret',
    });
    expect(JSON.stringify([error.message, error.facts, error.cause ?? null])).not.toContain('secret');
  });
});

test('error packets: with state, without state, cut short', () => {
  const full = Buffer.from('ff1504#28000Access denied', 'latin1');
  const packet = Buffer.concat([Buffer.from([0xff, 0x15, 0x04]), full.subarray(6)]);
  expect(decodeErrorPacket(packet, 0, packet.length)).toEqual({
    errno: 1045,
    sqlState: '28000',
    message: 'Access denied',
  });
  const early = Buffer.concat([Buffer.from([0xff, 0x10, 0x04]), Buffer.from('Too many connections')]);
  expect(decodeErrorPacket(early, 0, early.length)).toMatchObject({
    errno: 1040,
    message: 'Too many connections',
  });
  expect(() => decodeErrorPacket(packet, 0, 2)).toThrow(/error packet/);
});

test('a server text cannot write into the terminal, nor fill it', () => {
  const text = `a\u001b[31m\nb${'x'.repeat(5000)}`;
  const { message } = serverError({ errno: 1064, sqlState: '42000', message: text }, peer, 'look');
  expect(message).not.toContain('\u001b');
  expect(message).not.toContain('\n');
  expect(message.length).toBeLessThan(800);
});

test('privileges are read out of the server text', () => {
  const text =
    'Access denied; you need (at least one of) the SUPER, REPLICATION CLIENT privilege(s) for this operation';
  expect(missingPrivilege(text)).toBe('SUPER, REPLICATION CLIENT');
  expect(missingPrivilege('nothing of the kind')).toBeNull();
});

test('an IPv6 address is told apart from its port', () => {
  expect(peerName({ ...peer, host: '::1' })).toBe("[::1]:3306 as 'repl'");
});
