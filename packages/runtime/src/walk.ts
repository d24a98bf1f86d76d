// walk.ts: the decision for one session, made anew: the maximum over every stop and hold on its path (S1, S2).

import { type Decision, type KillSwitches, noticeOf, run, strongest } from '@offswitch/core';
import type { Node } from './node.ts';
import { conversationKey, subjectKey } from './stop-key.ts';
import type { StopSet } from './stop-set.ts';
import type { Switchboard } from './switchboard.ts';

export interface WalkContext {
  readonly switches: KillSwitches;
  readonly stops: StopSet;
  readonly switchboard: Switchboard;
  /** Set while the state folder cannot be trusted, or the process shuts down: everything is held. */
  holdOnAll: Decision;
}

/** Decides and caches. What it reads is in memory; it never throws. */
export function walk(context: WalkContext, node: Node): Decision {
  const { stops, switchboard, switches } = context;
  const seenRoot = node.root.epoch;
  const seenTier = stops.tiers.epoch;
  let decision = strongest(context.holdOnAll, stops.against('global', '-'));
  decision = strongest(decision, switchboard.hold(switches.global));
  decision = strongest(decision, switchboard.hold(switches.instance));
  let sessionStopsReach = true;
  for (let at: Node | undefined = node; at; ) {
    decision = strongest(decision, ofOne(context, at, sessionStopsReach));
    if (at.parent) at = at.parent;
    else {
      at = at.detachedFrom;
      sessionStopsReach = false;
    }
  }
  node.seenRoot = seenRoot;
  node.seenTier = seenTier;
  node.decision = decision;
  return decision;
}

function ofOne(context: WalkContext, node: Node, sessionStopsReach: boolean): Decision {
  const { stops, switchboard, switches } = context;
  let decision: Decision = run;
  if (node.workflow !== undefined) {
    if (stops.has('feature')) decision = strongest(decision, stops.against('feature', subjectKey(node.workflow)));
    if (switches.isWorkflow(node.workflow)) decision = strongest(decision, switchboard.hold(switches.feature(node.workflow)));
  }
  if (node.userId !== undefined) {
    if (stops.has('user')) decision = strongest(decision, stops.against('user', subjectKey(node.userId)));
    decision = strongest(decision, switchboard.hold(switches.user));
  }
  if (sessionStopsReach) {
    if (stops.has('instance')) {
      decision = strongest(decision, stops.against('instance', node.key));
      if (node.conversationId !== undefined)
        decision = strongest(decision, stops.against('instance', conversationKey(node.conversationId)));
    }
    if (node.untargeted !== undefined) decision = strongest(decision, nodeHold(node.untargeted));
    if (!node.isRead) decision = strongest(decision, nodeHold(`the switches have not been read for ${node.id} yet`));
  }
  return decision;
}

function nodeHold(reason: string): Decision {
  return {
    action: 'pause',
    tier: 'instance',
    cause: 'unknown',
    reason,
    effect: 'Held before the next turn until its switch can be read; then it goes on or stops as the switch says.',
    notice: noticeOf('pause'),
    since: 0,
  };
}
