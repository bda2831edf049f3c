import { describe, expect, test } from 'vitest';
import { withoutValues } from '../../../src/wire/server-text.ts';

describe('what a server says, without values', () => {
  test.each([
    ["Duplicate entry 'hunter2' for key 'users.email'", "Duplicate entry '…' for key 'users.email'"],
    [
      "Duplicate entry 'it's' for key 'hunter2' for key 'users.PRIMARY'",
      "Duplicate entry '…' for key 'users.PRIMARY'",
    ],
    [
      "Foreign key constraint for table 'orders', record 'hunter2-4711' would lead to a duplicate entry in table 'lines', key 'PRIMARY'",
      "Foreign key constraint for table 'orders', record '…' would lead to a duplicate entry in table 'lines', key 'PRIMARY'",
    ],
    [
      "Foreign key constraint for table 'orders', record 'it's, record 'hunter2'' would lead to a duplicate entry in a child table",
      "Foreign key constraint for table 'orders', record '…' would lead to a duplicate entry in a child table",
    ],
    [
      "Upholding foreign key constraints for table 'orders', entry 'hunter2-4711', key 1 would lead to a duplicate entry",
      "Upholding foreign key constraints for table 'orders', entry '…', key 1 would lead to a duplicate entry",
    ],
    [
      "You have an error in your SQL syntax; check the manual for the right syntax to use near 'IDENTIFIED BY 'hunter2'' at line 1",
      "You have an error in your SQL syntax; check the manual for the right syntax to use near '…' at line 1",
    ],
    [`… to use near "x', 'hunter2" at line 12`, "… to use near '…' at line 12"],
    ["… to use near 'hunter2", "… to use near '…'"],
    [
      "Incorrect string value: '\\xE9hunter2' for column 'name' at row 1",
      "Incorrect string value: '…' for column 'name' at row 1",
    ],
    ["Truncated incorrect DOUBLE value: 'hunter2'", "Truncated incorrect DOUBLE value: '…'"],
    ["Incorrect DATE value: 'hunter2'", "Incorrect DATE value: '…'"],
    ["Illegal double 'hunter2' value found during parsing", "Illegal double '…' value found during parsing"],
    [
      "BIGINT UNSIGNED value is out of range in '(`shop`.`t`.`n` - 77777)'",
      "BIGINT UNSIGNED value is out of range in '…'",
    ],
    ['Table has no partition for value 77777', 'Table has no partition for value …'],
    [
      "Variable 'sql_mode' can't be set to the value of 'hunter2'",
      "Variable 'sql_mode' can't be set to the value of '…'",
    ],
    ["Invalid utf8mb4 character string: 'hunter2'", "Invalid utf8mb4 character string: '…'"],
    ["Your password 'hunter2' does not satisfy the policy", "Your password '…'"],
    ["failed: ALTER USER bob IDENTIFIED BY 'hunter2'", "failed: ALTER USER bob IDENTIFIED BY '…'"],
  ])('%s', (message, shown) => {
    expect(withoutValues(message)).toBe(shown);
    expect(shown).not.toMatch(/hunter2|77777/);
  });

  test.each([
    "Table 'shop.orders' doesn't exist",
    "Unknown column 'note' in 'field list'",
    "Access denied for user 'repl'@'10.0.0.7' (using password: YES)",
    "Plugin 'caching_sha2_password' cannot be loaded: no such file",
    'Lock wait timeout exceeded; try restarting transaction',
    'Access denied; you need (at least one of) the REPLICATION CLIENT privilege(s) for this operation',
    "Can't find record in 'orders'",
    "Unknown database 'shop'",
    'The MySQL server is running with the --super-read-only option so it cannot execute this statement',
    'Could not find first log file name in binary log index file',
    "Data too long for column 'name' at row 1",
    'Cannot add or update a child row: a foreign key constraint fails (`shop`.`item`, CONSTRAINT `fk` FOREIGN KEY (`a`) REFERENCES `b` (`id`))',
  ])('names stay: %s', (message) => {
    expect(withoutValues(message)).toBe(message);
  });
});
