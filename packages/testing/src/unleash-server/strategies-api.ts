// strategies-api.ts: the admin API of one environment of one flag: on, off, and its strategies.

import { randomUUID } from 'node:crypto';
import { fieldsOf, ok, refusal, type UnleashAnswer, type UnleashRequest } from './answer.ts';
import {
  record,
  type Stored,
  type StoredConstraint,
  type StoredEnvironment,
  type StoredFlag,
  type StoredStrategy,
} from './stored.ts';

export interface AdminContext {
  readonly stored: Stored;
  /** Who asks, as events record it. */
  readonly by: string;
  readonly strategyLimit: number;
  readonly valueLimit: number;
}

export function environmentApi(
  context: AdminContext,
  request: UnleashRequest,
  flag: StoredFlag,
  environment: string,
  rest: readonly string[],
): UnleashAnswer | undefined {
  const { stored, by } = context;
  const here = flag.environments.get(environment);
  if (!here) return refusal(404, 'NotFoundError', `Could not find ${flag.name} in ${environment}`);
  const event = (type: string, more: { data?: unknown; preData?: unknown } = {}): void =>
    record(stored, by, { type, featureName: flag.name, environment, ...more });
  const [what, id] = rest;
  switch (`${request.method} ${rest.length}${what === undefined ? '' : ` ${what}`}`) {
    case 'GET 0':
      return ok({ name: flag.name, environment, enabled: here.enabled, strategies: here.strategies });
    case 'POST 1 on':
      // What the server does for a flag that has none yet: on for everybody.
      if (here.strategies.every((one) => one.disabled)) {
        const added = strategyOf(
          { name: 'flexibleRollout', parameters: { rollout: '100', stickiness: 'default', groupId: flag.name } },
          here,
        );
        here.strategies.push(added);
        event('feature-strategy-add', { data: added });
      }
      if (!here.enabled) {
        here.enabled = true;
        event('feature-environment-enabled');
      }
      return ok();
    case 'POST 1 off':
      if (here.enabled) {
        here.enabled = false;
        event('feature-environment-disabled');
      }
      return ok();
    case 'GET 1 strategies':
      return ok(here.strategies);
    case 'POST 1 strategies': {
      if (here.strategies.length >= context.strategyLimit)
        return refusal(
          400,
          'ExceedsLimitError',
          `Failed to create strategy. You can't create more than the established limit of ${context.strategyLimit}.`,
        );
      const wrong = wrongWith(context, fieldsOf(request.body));
      if (wrong) return wrong;
      const added = strategyOf(fieldsOf(request.body), here);
      here.strategies.push(added);
      event('feature-strategy-add', { data: added });
      return ok(added);
    }
  }
  if (what !== 'strategies' || id === undefined || rest.length !== 2) return undefined;
  const at = here.strategies.findIndex((one) => one.id === id);
  const before = here.strategies[at];
  if (!before) return refusal(404, 'NotFoundError', `Could not find strategy with id=${id}`);
  switch (request.method) {
    case 'GET':
      return ok(before);
    case 'PATCH': {
      const patched = patch(before, request.body);
      if (!patched) return refusal(500, 'UnknownError', 'Test operation failed\nname: TEST_OPERATION_FAILED');
      const wrong = wrongWith(context, patched as unknown as Record<string, unknown>);
      if (wrong) return wrong;
      here.strategies[at] = patched;
      event('feature-strategy-update', { preData: before, data: patched });
      return ok(patched);
    }
    case 'DELETE':
      here.strategies.splice(at, 1);
      event('feature-strategy-remove', { preData: before });
      if (here.strategies.every((one) => one.disabled) && here.enabled) {
        here.enabled = false;
        event('feature-environment-disabled');
      }
      return ok();
  }
  return undefined;
}

/** A strategy as the server completes it. */
export function strategyOf(given: Readonly<Record<string, unknown>>, here: StoredEnvironment): StoredStrategy {
  const parameters = Object.entries(fieldsOf(given.parameters)).map(([name, value]) => [name, String(value)] as const);
  return {
    id: randomUUID(),
    name: String(given.name),
    title: typeof given.title === 'string' ? given.title : null,
    disabled: given.disabled === true,
    sortOrder: here.strategies.length,
    parameters: Object.fromEntries(parameters),
    constraints: structuredClone((given.constraints ?? []) as StoredConstraint[]),
    segments: structuredClone((given.segments ?? []) as number[]),
    variants: structuredClone((given.variants ?? []) as unknown[]),
  };
}

function wrongWith(context: AdminContext, given: Readonly<Record<string, unknown>>): UnleashAnswer | undefined {
  const bad = (message: string): UnleashAnswer => refusal(400, 'BadDataError', message);
  if (typeof given.name !== 'string') return bad('The `/name` property is required.');
  for (const { operator, values } of (given.constraints ?? []) as StoredConstraint[]) {
    if (operator !== 'IN' && operator !== 'NOT_IN') continue;
    if (!Array.isArray(values) || values.length === 0) return bad('"value" must contain at least 1 items');
    if (values.length > context.valueLimit)
      return refusal(
        400,
        'ExceedsLimitError',
        `Failed to create content values for ${operator}. You can't create more than the established limit of ${context.valueLimit}.`,
      );
    if (values.some((one) => typeof one !== 'string' || one.length > 100))
      return bad('"values[0]" length must be less than or equal to 100 characters long');
  }
  return undefined;
}

/** JSON patch (RFC 6902), as far as controls use it: `test`, `add` and `replace` of one field. `undefined`: a test failed. */
function patch(before: StoredStrategy, operations: unknown): StoredStrategy | undefined {
  const next = structuredClone(before);
  for (const { op, path, value } of (Array.isArray(operations) ? operations : []) as {
    op: string;
    path: string;
    value: unknown;
  }[]) {
    const steps = path.split('/').slice(1);
    const last = steps.pop()!;
    const parent = steps.reduce<Record<string, unknown>>(
      (at, step) => at[step] as Record<string, unknown>,
      next as unknown as Record<string, unknown>,
    );
    if (op === 'test' && JSON.stringify(parent[last]) !== JSON.stringify(value)) return undefined;
    if (op === 'replace' || op === 'add') parent[last] = structuredClone(value);
  }
  return next;
}
