// define.ts: the declaration of a team's kill switches, from which every key, type and sentence follows.
//
// Workflow names are literal types, so a typo does not compile and is not a switch that never fires. What can be wrong
// at run time only (a JavaScript caller, a config file) throws `invalid_declaration` with the way out.

import { OffswitchError } from './error.ts';
import { checkId } from './subject.ts';
import { actionOf, effectOf, noticeOf, type StopAction, type Tier } from './tier.ts';

/**
 * What to do while a switch could never be read: `hold` (default) pauses at the first turn boundary and says so; `run`
 * must be asked for per tier and is shown wherever switches are shown (S5).
 */
export type WhenUnknown = 'hold' | 'run';

/**
 * Which flag value means stopped. Boolean `true` by default: the flag is the kill, off is run. LaunchDarkly's own
 * kill-switch template is the other way round (true = running), for which say `engagedWhen: false`. Polarity is explicit
 * per switch because getting it wrong is silent.
 */
export type EngagedWhen = boolean;

export interface SwitchSpec<Role extends string = string> {
  /** Roles or people who may flip it. Shown before every flip; enforced by the vendor's token or the panel's login, and by nobody for a flag file. At least one. */
  readonly authorized: readonly Role[];
  /** Flag key at the vendor. Default: `killswitch.<tier>`, for a workflow `killswitch.feature.<workflow>`. */
  readonly key?: string;
  /** Default `true`. */
  readonly engagedWhen?: EngagedWhen;
  /** Default `'hold'`. */
  readonly whenUnknown?: WhenUnknown;
  /** Replaces the built-in effect statement; it must still say who stops, when, and what happens to their work. */
  readonly effect?: string;
}

export interface WorkflowSpec<Role extends string = string> extends SwitchSpec<Role> {
  /** Nobody watches this workflow: first in coverage and drills, no end-user notice, resumes without a person. Default false. */
  readonly unattended?: boolean;
  /** May sub-agents of this workflow be detached, so that a stop of their parent's session does not reach them (S2)? Default false. */
  readonly mayDetach?: boolean;
}

/** `Roles` closes the set of role names: with `roles` given, an `authorized` entry outside it does not compile. */
export interface KillSwitchSpec<Roles extends string = string> {
  readonly roles?: readonly Roles[];
  readonly global: SwitchSpec<NoInfer<Roles>>;
  readonly features: Readonly<Record<string, WorkflowSpec<NoInfer<Roles>>>>;
  readonly user?: SwitchSpec<NoInfer<Roles>>;
  readonly instance?: SwitchSpec<NoInfer<Roles>>;
}

/** One declared switch as a flag: everything a source, a control or a person needs to know of it. Plain data: it survives JSON. */
export interface SwitchFlag {
  readonly key: string;
  readonly tier: Tier;
  /** The feature tier's workflow. */
  readonly workflow?: string;
  readonly action: StopAction;
  readonly effect: string;
  readonly notice: string;
  readonly authorized: readonly string[];
  readonly engagedWhen: EngagedWhen;
  readonly whenUnknown: WhenUnknown;
  readonly unattended: boolean;
}

export interface KillSwitches<Workflow extends string = string> {
  /** Every switch, widest tier first, workflows in the order of declaration. */
  readonly flags: readonly SwitchFlag[];
  readonly workflows: readonly Workflow[];
  readonly global: SwitchFlag;
  readonly user: SwitchFlag | undefined;
  readonly instance: SwitchFlag | undefined;
  /** The switch of one workflow. Throws `unknown_workflow`. */
  feature(workflow: Workflow): SwitchFlag;
  isWorkflow(name: string): name is Workflow;
  mayDetach(workflow: Workflow): boolean;
}

/** The names of the workflows of a declaration: `WorkflowOf<typeof switches>`. */
export type WorkflowOf<S extends KillSwitches> = S['workflows'][number];

// Refuses fields nobody declared: excess-property checks do not reach through a `const` type parameter.
type Exact<T, Shape> = { [K in keyof T]: K extends keyof Shape ? T[K] : never };
type ExactSpec<S> = {
  [K in keyof S]: K extends 'global' | 'user' | 'instance'
    ? Exact<S[K], SwitchSpec>
    : K extends 'features'
      ? { [W in keyof S[K]]: Exact<S[K][W], WorkflowSpec> }
      : K extends 'roles'
        ? S[K]
        : never;
};

/**
 * Declares the kill switches of an application. Throws `invalid_declaration` for what the types could not refuse.
 *
 * @example
 * const switches = defineKillSwitches({
 *   global: { authorized: ['on-call'] },
 *   features: { 'resume-rewrite': { authorized: ['on-call', 'support-lead'] } },
 *   user: { authorized: ['support'] },
 *   instance: { authorized: ['on-call'] },
 * });
 */
export function defineKillSwitches<const Roles extends string, const S extends KillSwitchSpec<Roles>>(
  spec: S & KillSwitchSpec<Roles> & ExactSpec<S>,
): KillSwitches<keyof S['features'] & string> {
  type Workflow = keyof S['features'] & string;
  const declared: KillSwitchSpec = spec;
  if (typeof declared !== 'object' || declared === null) throw invalid('the declaration must be an object');
  for (const field of Object.keys(declared)) {
    if (!['roles', 'global', 'features', 'user', 'instance'].includes(field)) {
      throw invalid(`${JSON.stringify(field)} is no tier; declare global, features, user, instance`);
    }
  }
  if (declared.global === undefined) throw invalid('global is missing: there must be one switch that stops everything');
  if (typeof declared.features !== 'object' || declared.features === null)
    throw invalid('features is missing: name at least the workflows that run');

  const roles = declared.roles === undefined ? undefined : new Set(declared.roles);
  const flag = (tier: Tier, one: WorkflowSpec, workflow?: string): SwitchFlag => checkedFlag(tier, one, workflow, roles);
  const features = new Map<string, SwitchFlag>();
  const detachable = new Set<string>();
  for (const [workflow, one] of Object.entries(declared.features)) {
    if (!/^[\w.-]+$/.test(checkId('workflow', workflow))) {
      throw invalid(
        `workflow ${JSON.stringify(workflow)}: use letters, digits, "-", "_" and "." (it becomes the end of a flag key)`,
      );
    }
    features.set(workflow, flag('feature', one, workflow));
    if (one.mayDetach === true) detachable.add(workflow);
  }
  const global = flag('global', declared.global);
  const user = declared.user && flag('user', declared.user);
  const instance = declared.instance && flag('instance', declared.instance);
  const flags = Object.freeze([global, ...features.values(), ...(user ? [user] : []), ...(instance ? [instance] : [])]);
  const byKey = new Map<string, SwitchFlag>();
  for (const one of flags) {
    if (byKey.has(one.key))
      throw invalid(`two switches share the key ${JSON.stringify(one.key)}; give one of them a key of its own`);
    byKey.set(one.key, one);
  }
  const workflows = Object.freeze([...features.keys()]) as readonly Workflow[];
  return Object.freeze({
    flags,
    workflows,
    global,
    user,
    instance,
    feature(workflow: Workflow): SwitchFlag {
      const found = features.get(workflow);
      if (!found) throw unknownWorkflow(workflow, workflows);
      return found;
    },
    isWorkflow: (name: string): name is Workflow => features.has(name),
    mayDetach: (workflow: Workflow): boolean => detachable.has(workflow),
  });
}

const fields = new Set(['authorized', 'key', 'engagedWhen', 'whenUnknown', 'effect']);
const workflowFields = new Set([...fields, 'unattended', 'mayDetach']);

function checkedFlag(
  tier: Tier,
  spec: WorkflowSpec,
  workflow: string | undefined,
  roles: ReadonlySet<string> | undefined,
): SwitchFlag {
  const name = workflow === undefined ? tier : `features[${JSON.stringify(workflow)}]`;
  if (typeof spec !== 'object' || spec === null) throw invalid(`${name} must be an object`);
  for (const field of Object.keys(spec)) {
    if (!(tier === 'feature' ? workflowFields : fields).has(field))
      throw invalid(`${name}: ${JSON.stringify(field)} is no field of a ${tier} switch`);
  }
  if (!Array.isArray(spec.authorized) || spec.authorized.length === 0)
    throw invalid(`${name}.authorized is empty: say who may flip it`);
  for (const role of spec.authorized) {
    if (typeof role !== 'string' || role === '')
      throw invalid(`${name}.authorized holds ${JSON.stringify(role)}, which is no role name`);
    if (roles && !roles.has(role)) throw invalid(`${name}.authorized names ${JSON.stringify(role)}, which is not in roles`);
  }
  const key = spec.key ?? (workflow === undefined ? `killswitch.${tier}` : `killswitch.feature.${workflow}`);
  if (typeof key !== 'string' || !/^[\w.-]{1,100}$/.test(key)) {
    throw invalid(
      `${name}.key ${JSON.stringify(key)}: 1 to 100 letters, digits, ".", "-" and "_" (what all three vendors accept)`,
    );
  }
  if (spec.engagedWhen !== undefined && typeof spec.engagedWhen !== 'boolean')
    throw invalid(`${name}.engagedWhen must be true or false`);
  if (spec.whenUnknown !== undefined && spec.whenUnknown !== 'hold' && spec.whenUnknown !== 'run')
    throw invalid(`${name}.whenUnknown must be "hold" or "run"`);
  if (spec.effect !== undefined && (typeof spec.effect !== 'string' || spec.effect.trim() === ''))
    throw invalid(`${name}.effect is empty`);
  const action = actionOf(tier);
  return Object.freeze({
    key,
    tier,
    ...(workflow === undefined ? {} : { workflow }),
    action,
    effect: spec.effect ?? effectOf(tier, workflow),
    notice: noticeOf(action),
    authorized: Object.freeze([...spec.authorized]),
    engagedWhen: spec.engagedWhen ?? true,
    whenUnknown: spec.whenUnknown ?? 'hold',
    unattended: spec.unattended ?? false,
  });
}

/** The error for a workflow nobody declared, with the nearest declared name as the way out. */
export function unknownWorkflow(name: string, declared: readonly string[]): OffswitchError {
  const shown = JSON.stringify(String(name).slice(0, 64));
  const near = declared.find((one) => distance(one, String(name).slice(0, 100)) <= 3);
  const wayOut = near
    ? `did you mean ${JSON.stringify(near)}?`
    : `declared are: ${declared.map((one) => JSON.stringify(one)).join(', ') || 'none'}`;
  return new OffswitchError('unknown_workflow', `workflow ${shown} is not declared; ${wayOut}`);
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

function invalid(message: string): OffswitchError {
  return new OffswitchError('invalid_declaration', message);
}
