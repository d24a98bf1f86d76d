// provider-steps.ts: the words of the status, event, lifecycle and context scenarios.

import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { expect } from 'vitest';
import { settle } from '../world.ts';
import type { Step } from './feature.ts';
import type { Level, ProviderState, World } from './scenario-world.ts';

const eventOf: Readonly<Record<string, ProviderEvents>> = {
  ready: ProviderEvents.Ready,
  stale: ProviderEvents.Stale,
  error: ProviderEvents.Error,
  change: ProviderEvents.ConfigurationChanged,
};

/** Takes the oldest event of a kind that no step has asked about. */
function take(world: World, kind: string): World['events'][number] {
  const at = world.events.findIndex((event) => event.type === eventOf[kind]);
  const [event] = at < 0 ? [] : world.events.splice(at, 1);
  if (!event) throw new Error(`no ${kind} event came; there were: ${world.events.map((one) => one.type).join(', ') || 'none'}`);
  return event;
}

function set(world: World, level: Level, key: string, value: string): void {
  const entries = { ...world.levels.get(level), [key]: value };
  world.levels.set(level, entries);
  switch (level) {
    case 'API':
      OpenFeature.setContext(entries);
      return;
    case 'Client':
      world.client.setContext(entries);
      return;
    case 'Before Hooks':
      world.hooks = [{ before: () => entries }];
      return;
    case 'Transaction':
    case 'Invocation':
      return;
  }
}

let changed: World['events'][number] | undefined;
let precedence: readonly Level[] = [];

export const providerSteps: readonly Step<World>[] = [
  [/^an? (stable|not ready|error|fatal|stale|unavailable) provider$/, (world, [state]) => world.provide(state as ProviderState)],
  [/^a stable provider with retrievable context is registered$/, (world) => world.provide('stable')],
  [/^the provider status should be "(.*)"$/, (world, [status]) => expect(world.client.providerStatus).toBe(status)],
  [
    /^the client should be in (\w+) state$/,
    (world, [state = '']) => expect(world.client.providerStatus).toBe(state.toUpperCase()),
  ],
  [
    /^the provider metadata name should not be empty$/,
    (world) => expect(world.client.metadata.providerMetadata.name).toBe('offswitch'),
  ],
  [
    /^an? (\w+) event handler$/,
    (world, [kind = '']) => {
      const type = eventOf[kind];
      if (!type) throw new Error(`no event ${kind}`);
      world.client.addHandler(type, (details) => {
        const keys = details && 'flagsChanged' in details ? details.flagsChanged : undefined;
        world.events.push({ type, flagsChanged: Array.isArray(keys) ? keys : undefined });
      });
    },
  ],
  [/^a (\w+) event was fired$/, (world, [kind = '']) => void take(world, kind)],
  [
    /^the (\w+) event handler should have been executed(?: within (\d+)ms)?$/,
    async (world, [kind = '', withinMs]) => {
      if (withinMs !== undefined) await world.clock.advance(Number(withinMs));
      await settle();
      changed = take(world, kind);
    },
  ],
  [/^the flag should be part of the event payload$/, (world) => expect(changed?.flagsChanged).toContain(world.flag.key)],
  [/^the flag was modified$/, (world) => world.spec?.modify(world.flag.key)],
  [/^the connection is lost$/, (world) => world.spec?.memory.lose()],
  [/^the connection is restored$/, (world) => world.spec?.memory.recover()],
  [
    /^A context entry with key "([^"]*)" and value "([^"]*)" is added to the "([^"]*)" level$/,
    (world, [key = '', value = '', level]) => set(world, level as Level, key, value),
  ],
  [
    /^A table with levels of increasing precedence$/,
    (_, __, rows) => {
      precedence = rows.map(([level]) => level as Level);
    },
  ],
  [
    /^Context entries for each level from API level down to the "([^"]*)" level, with key "([^"]*)" and value "([^"]*)"$/,
    (world, [last, key = '']) => {
      for (const level of precedence.slice(0, precedence.indexOf(last as Level) + 1)) set(world, level, key, level);
    },
  ],
  [
    /^Some flag was evaluated$/,
    (world) => {
      world.flag = { type: 'boolean', key: 'boolean-flag', value: false };
      return world.evaluate();
    },
  ],
  [
    /^The merged context contains an entry with key "([^"]*)" and value "([^"]*)"$/,
    (world, [key = '', value]) => expect(world.spec?.contexts.at(-1)).toHaveProperty([key], value),
  ],
];
