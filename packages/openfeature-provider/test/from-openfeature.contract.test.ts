import type { KillSwitches, SwitchFlag } from '@offswitch/core';
import { describeSwitchSource, type OtherFlag, type SourceHarness } from '@offswitch/testing';
import { type EvaluationContext, InMemoryProvider, OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { beforeAll } from 'vitest';
import { fromOpenFeature } from '../src/index.ts';
import { freshDomain, quiet } from './world.ts';

beforeAll(quiet);

interface State {
  readonly everybody: boolean;
  readonly targets: ReadonlySet<string>;
  readonly isText: boolean;
}

/** The SDK's own in-memory provider, holding one flag for each switch with a rule over its targets. */
async function harness(switches: KillSwitches): Promise<SourceHarness> {
  const domain = freshDomain();
  const states = new Map<string, State>();
  const byKey = new Map(switches.flags.map((flag) => [flag.key, flag]));
  for (const flag of switches.flags) states.set(flag.key, { everybody: false, targets: new Set(), isText: false });
  const provider = new InMemoryProvider();
  const others = new Map<string, ReturnType<typeof otherFlag>>();
  const put = (): void => {
    const flags: Record<string, ReturnType<typeof configured> | ReturnType<typeof otherFlag>> = Object.create(null);
    for (const [key, state] of states) flags[key] = configured(byKey.get(key)!, state);
    for (const [key, flag] of others) flags[key] = flag;
    provider.putConfiguration(flags);
  };
  const change = async (flag: SwitchFlag, next: (state: State) => State): Promise<void> => {
    states.set(flag.key, next(states.get(flag.key)!));
    put();
  };
  put();
  await OpenFeature.setProviderAndWait(domain, provider);
  return {
    source: fromOpenFeature(OpenFeature.getClient(domain)),
    engage: (flag, target) =>
      change(flag, (state) =>
        target === undefined ? { ...state, everybody: true } : { ...state, targets: new Set([...state.targets, target]) },
      ),
    release: (flag, target) =>
      change(flag, (state) =>
        target === undefined
          ? { ...state, everybody: false }
          : { ...state, targets: new Set([...state.targets].filter((one) => one !== target)) },
      ),
    turnOn: (flag) => change(flag, (state) => ({ ...state, everybody: true })),
    setWrongType: (flag) => change(flag, (state) => ({ ...state, isText: true })),
    async remove(flag) {
      states.delete(flag.key);
      put();
    },
    async lose() {
      provider.events.emit(ProviderEvents.Stale, { message: 'the stream broke' });
    },
    async recover() {
      provider.events.emit(ProviderEvents.Ready);
    },
    store: (action, flag, target) =>
      change(flag, (state) => ({
        ...state,
        ...(target === undefined
          ? { everybody: action === 'engage' }
          : {
              targets: new Set([...[...state.targets].filter((one) => one !== target), ...(action === 'engage' ? [target] : [])]),
            }),
      })),
    engageMany: (flag, targets) => change(flag, (state) => ({ ...state, targets: new Set(targets) })),
    async unanswered() {
      const silent = freshDomain();
      OpenFeature.setProvider(silent, new SilentProvider());
      return fromOpenFeature(OpenFeature.getClient(silent), { openTimeoutMs: 50 });
    },
    async elsewhere() {
      const other = freshDomain();
      const elsewhere = new InMemoryProvider();
      const released = { everybody: false, targets: new Set<string>(), isText: false };
      elsewhere.putConfiguration(Object.fromEntries(switches.flags.map((flag) => [flag.key, configured(flag, released)])));
      await OpenFeature.setProviderAndWait(other, elsewhere);
      return fromOpenFeature(OpenFeature.getClient(other));
    },
    async putFlag(key, flag) {
      others.set(key, otherFlag(flag));
      put();
    },
    async close() {
      await OpenFeature.clearProviders();
    },
  };
}

/** A vendor that took the connection and never says anything. */
class SilentProvider extends InMemoryProvider {
  async initialize(): Promise<void> {
    await new Promise<void>(() => {});
  }
}

function otherFlag({ value, targeted }: OtherFlag) {
  return {
    variants: { everybody: value, ...(targeted ? { targeted: targeted.value } : {}) } as unknown as Record<string, never>,
    disabled: false,
    defaultVariant: 'everybody',
    ...(targeted
      ? {
          contextEvaluator: ({ targetingKey }: EvaluationContext) =>
            targetingKey === targeted.targetingKey ? 'targeted' : 'everybody',
        }
      : {}),
  };
}

function configured(flag: SwitchFlag, state: State) {
  const idOf = (context: EvaluationContext) => (flag.tier === 'user' ? context.userId : context.sessionId);
  return {
    variants: state.isText
      ? { stop: String(flag.engagedWhen), go: String(!flag.engagedWhen) }
      : { stop: flag.engagedWhen, go: !flag.engagedWhen },
    disabled: false,
    defaultVariant: 'go',
    contextEvaluator: (context: EvaluationContext) => {
      const id = idOf(context);
      return state.everybody || (typeof id === 'string' && state.targets.has(id)) ? 'stop' : 'go';
    },
  };
}

describeSwitchSource('fromOpenFeature over the SDK’s in-memory provider', harness, { positions: false });
