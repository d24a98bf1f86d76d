// inspect.ts: whether each declared switch is wired to something that would stop somebody (S13).

import type { Finding, Inspection, KillSwitches, SwitchFlag } from '@offswitch/core';
import { LaunchDarklyError } from '../error.ts';
import type { Api } from './api.ts';
import { untargeted } from './flip.ts';
import type { Place } from './provision.ts';
import {
  everybodyGets,
  exceptions,
  membersOf,
  type RestFlag,
  type RestSegment,
  type SwitchView,
  segmentOf,
  targetsOf,
  viewOf,
} from './rest-flag.ts';

/** LaunchDarkly's advice: fewer than 10,000 individual targets per environment; each one is sent to every SDK on each change. */
const manyTargets = 10_000;

/** The context kinds that readings carry; a rule on any other never matches. */
const knownKinds: ReadonlySet<string> = new Set(['user', 'session', 'conversation', 'workflow', 'offswitch']);

export async function inspectFlags(
  api: Api,
  place: Place,
  switches: KillSwitches,
  isEnded: ((session: string) => boolean) | undefined,
): Promise<readonly Inspection[]> {
  const inspections: Inspection[] = [];
  for (const flag of switches.flags) inspections.push(await inspectFlag(api, place, flag, isEnded));
  return inspections;
}

async function inspectFlag(
  api: Api,
  { project, environment }: Place,
  flag: SwitchFlag,
  isEnded: ((session: string) => boolean) | undefined,
): Promise<Inspection> {
  const { key } = flag;
  const rest = await api.find<RestFlag>(`flags/${project}/${encodeURIComponent(key)}?env=${environment}`);
  const broken = (code: string, message: string): Inspection => ({
    key,
    flag,
    engaged: 'unknown',
    targets: [],
    findings: [{ code, severity: 'error', message }],
  });
  if (!rest) return broken('missing', `the project ${project} has no flag ${key}; provision it`);
  let view: SwitchView;
  try {
    view = viewOf(flag, rest, environment);
  } catch (error) {
    if (!LaunchDarklyError.is(error)) throw error;
    const code = rest.archived ? 'archived' : rest.environments[environment] ? 'wrong-type' : 'environment-off';
    return broken(code, error.message);
  }
  const segmentKey = segmentOf(view);
  const segment =
    segmentKey === undefined
      ? undefined
      : await api.find<RestSegment>(`segments/${project}/${environment}/${encodeURIComponent(segmentKey)}`);
  const ids = (kind: string): readonly string[] => [
    ...targetsOf(view.config, kind, view.engaged.index),
    ...(segment ? membersOf(segment, kind) : []),
  ];
  const isScoped = flag.tier === 'user' || flag.tier === 'instance';
  const sessions = flag.tier === 'instance' ? ids('session') : [];
  const targets = !isScoped ? [] : flag.tier === 'user' ? ids('user') : [...sessions, ...ids('conversation')];
  const findings = findingsOf(view, isScoped, targets);
  if (segmentKey !== undefined && !segment)
    findings.push({
      code: 'rule-never-matches',
      severity: 'error',
      message: `${key} reads the segment ${segmentKey}, which is not in ${environment}`,
    });
  const ended = isEnded ? sessions.filter((id) => isEnded(id)) : [];
  if (ended.length > 0)
    findings.push({
      code: 'stale-targets',
      severity: 'warning',
      message: `${key} still lists ${ended.length} sessions that have ended (${ended.slice(0, 3).join(', ')}); take them out`,
    });
  return { key, flag, engaged: engagedFor(view, isScoped, targets), targets, findings };
}

function engagedFor(view: SwitchView, isScoped: boolean, targets: readonly string[]): Inspection['engaged'] {
  const everybody = everybodyGets(view.config);
  if (everybody === undefined) return 'unknown';
  if (everybody === view.engaged.index) return 'everybody';
  if (isScoped) return view.config.on && targets.length > 0 ? 'targets' : 'nobody';
  return exceptions(view, view.released.index).length === 0 ? 'nobody' : 'unknown';
}

function findingsOf(view: SwitchView, isScoped: boolean, targets: readonly string[]): Finding[] {
  const { flag, rest, config } = view;
  const { key } = flag;
  const found: Finding[] = [];
  const add = (code: string, severity: Finding['severity'], message: string): void => {
    found.push({ code, severity, message });
  };
  if (rest.temporary)
    add('temporary', 'warning', `${key} is temporary, so LaunchDarkly will suggest to archive it; make it permanent`);
  if (config.offVariation === undefined)
    add('no-off-variation', 'warning', `${key} has no off variation: switched off it serves nothing and reads unknown; set one`);
  if ((config.prerequisites ?? []).length > 0) {
    const [first] = config.prerequisites ?? [];
    add('prerequisite', 'error', `${key} depends on the flag ${first?.key}: while that fails, the off variation is served`);
  }
  if (isScoped) {
    const why = untargeted(view);
    if (why !== undefined) add('untargeted', 'error', `${key}: ${why}`);
    if (!config.on && targets.length > 0)
      add(
        'environment-off',
        'error',
        `${key} is off in this environment, so none of its ${targets.length} targets counts; turn it on`,
      );
    if (targets.length > manyTargets)
      add('many-targets', 'warning', `${key} lists ${targets.length} ids; take ended ones out, or list them in a segment`);
  } else if (config.on && config.fallthrough?.variation !== undefined && config.offVariation === config.fallthrough.variation) {
    add('same-either-way', 'warning', `${key} serves the same on and off, so a flip in the dashboard changes nothing`);
  } else if (config.offVariation === view.engaged.index && flag.engagedWhen) {
    add(
      'inverted-polarity',
      'error',
      `${key} serves true (engaged) while it is off; say \`engagedWhen: false\`, or swap its variations`,
    );
  } else if (config.offVariation === view.released.index && !flag.engagedWhen) {
    add(
      'inverted-polarity',
      'error',
      `${key} serves true (released) while it is off; say \`engagedWhen: true\`, or swap its variations`,
    );
  }
  const lost = (config.rules ?? [])
    .flatMap((rule) => rule.clauses)
    .find((clause) => clause.op !== 'segmentMatch' && clause.contextKind !== undefined && !knownKinds.has(clause.contextKind));
  if (lost)
    add('rule-never-matches', 'warning', `${key} has a rule on the context kind ${lost.contextKind}, which readings never carry`);
  return found;
}
