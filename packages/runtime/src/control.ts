// control.ts: what a running process answers the command line. Every request is checked here, at the edge.

import { type Tier, tiers } from '@offswitch/core';
import { RuntimeError } from './error.ts';
import { isReceiptOf } from './receipt.ts';
import type { ReleaseOrder } from './release.ts';
import type { Runtime } from './runtime.ts';
import type { ControlHandler } from './store.ts';
import type { SubjectKind } from './view.ts';
import type { World } from './world.ts';

export function controlHandler(runtime: Runtime, world: World): ControlHandler {
  return async (method, params) => {
    const { text, optional } = fieldsOf(method, params);
    switch (method) {
      case 'ping':
        return { processId: world.store.processId, pid: process.pid };
      case 'status':
        return runtime.status();
      case 'sessions':
        return runtime.sessions();
      case 'receipts': {
        const all = await runtime.receipts();
        const id = optional('id');
        if (id !== undefined) return all.filter((one) => isReceiptOf(one, id));
        const { since, stops } = params;
        if (stops !== undefined) {
          if (!Array.isArray(stops) || !stops.every((one) => typeof one === 'string'))
            throw new RuntimeError('invalid_option', 'stops must be ids of stops');
          return all.filter((one) => stops.some((stop) => isReceiptOf(one, stop)));
        }
        if (since === undefined) return all.slice(0, 100);
        if (typeof since !== 'number') throw new RuntimeError('invalid_option', 'since must be epoch milliseconds');
        return all.filter(({ stop }) => stop.since >= since);
      }
      case 'preview':
        return runtime.preview(tierOf(text('tier')), optional('subject'), kindOf(optional('kind')));
      case 'stop': {
        const action = optional('action') ?? 'terminate';
        if (action !== 'terminate' && action !== 'pause')
          throw new RuntimeError('invalid_option', 'action must be terminate or pause');
        // Every process is asked: the one that has it answers.
        if (!runtime.session(text('session')))
          throw new RuntimeError('unknown_session', `no session ${JSON.stringify(text('session').slice(0, 80))} is known here`);
        return runtime.stop({ session: text('session'), reason: text('reason'), by: text('by'), action });
      }
      case 'release': {
        const allowance = params.allowance;
        if (allowance !== undefined && typeof allowance !== 'number')
          throw new RuntimeError('invalid_option', 'allowance must be a number');
        const order = {
          ...(params.stop === undefined ? {} : { stop: text('stop') }),
          ...(params.breaker === undefined ? {} : { breaker: text('breaker') }),
          ...(params.workflow === undefined ? {} : { workflow: text('workflow') }),
          ...(allowance === undefined ? {} : { allowance }),
          reason: text('reason'),
          by: text('by'),
        };
        return runtime.release(order as ReleaseOrder);
      }
      case 'resume':
        return runtime.resume(text('session'), { by: optional('by') ?? 'operator', reason: optional('reason') ?? 'resumed' });
      case 'resolve': {
        const verdict = text('verdict');
        if (verdict !== 'happened' && verdict !== 'did-not')
          throw new RuntimeError('invalid_option', 'verdict must be happened or did-not');
        await runtime.resolve(text('session'), text('call'), verdict, {
          by: optional('by') ?? 'operator',
          ...(params.reason === undefined ? {} : { reason: text('reason') }),
          ...(params.value === undefined ? {} : { value: params.value }),
        });
        return { resolved: true };
      }
      case 'reread':
        await world.kernel.reread();
        world.reconsider();
        return { confirmed: true, runsSessions: true };
      case 'refresh':
        await runtime.refresh();
        return { refreshed: true };
      default:
        throw new RuntimeError('invalid_option', `no method ${JSON.stringify(method.slice(0, 40))}`);
    }
  };
}

/** Reads the fields of a request; what is not of the right shape is an error that names it. */
export function fieldsOf(
  method: string,
  params: Readonly<Record<string, unknown>>,
): { text(field: string): string; optional(field: string): string | undefined } {
  const text = (field: string): string => {
    const value = params[field];
    if (typeof value !== 'string' || value === '' || value.length > 4_096) {
      throw new RuntimeError('invalid_option', `${method}: ${field} must be a text of 1 to 4096 characters`);
    }
    return value;
  };
  return { text, optional: (field) => (params[field] === undefined ? undefined : text(field)) };
}

export function tierOf(name: string): Tier {
  const tier = tiers.find((one) => one === name);
  if (!tier) throw new RuntimeError('invalid_option', `${JSON.stringify(name)} is no tier; one of ${tiers.join(', ')}`);
  return tier;
}

/** What the subject of the instance tier is; a session where nothing is said. */
export function kindOf(name: string | undefined): SubjectKind {
  if (name === undefined || name === 'session' || name === 'conversation') return name ?? 'session';
  throw new RuntimeError('invalid_option', 'kind must be session or conversation');
}
