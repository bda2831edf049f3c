/**
 * INTVAR, RAND and USER_VAR events as the SET statements that stand before a statement-format query.
 *
 * Values are numbers, hex strings or checked digits; a name is a quoted identifier.
 * Fact: the forms are those of mysqlbinlog (User_var_log_event::print).
 */
import { MillraceError } from '../base/errors.ts';
import {
  type IntvarEvent,
  type RandEvent,
  type UserVarEvent,
  UserVarType,
} from '../binlog/control-events.ts';
import { decimalText } from '../binlog/decimal-value.ts';
import { type Collations, collationNames } from '../target/collations.ts';
import { quoteIdentifier } from '../target/session-context.ts';

export function intvarStatement(event: IntvarEvent): string {
  return `SET ${event.variable}=${event.value}`;
}

export function randStatement(event: RandEvent): string {
  return `SET @@rand_seed1=${event.seed1}, @@rand_seed2=${event.seed2}`;
}

export function userVariableStatement(event: UserVarEvent, collations: Collations): string {
  return `SET @${quoteIdentifier(event.name)}:=${valueLiteral(event, collations)}`;
}

function valueLiteral({ name, value }: UserVarEvent, collations: Collations): string {
  if (value === null) return 'NULL';
  switch (value.type) {
    case UserVarType.STRING: {
      const names = collationNames(collations, value.charset, `the user variable @${name}`);
      const hex = value.bytes.toString('hex');
      return `_${names.charset} ${hex === '' ? "''" : `x'${hex}'`} COLLATE \`${names.collation}\``;
    }
    case UserVarType.REAL: {
      const number = value.bytes.readDoubleLE(0);
      // An exponent makes it a DOUBLE literal; without one it would be a DECIMAL.
      return Object.is(number, -0) ? '-0e0' : number.toExponential();
    }
    case UserVarType.INT:
      return String(value.unsigned ? value.bytes.readBigUInt64LE(0) : value.bytes.readBigInt64LE(0));
    case UserVarType.DECIMAL: {
      if (value.bytes.length < 2) break;
      return decimalText(value.bytes, 2, value.bytes[0]!, value.bytes[1]!);
    }
  }
  throw new MillraceError('MALFORMED_EVENT', `the user variable @${name} has a value of an unknown form`);
}
