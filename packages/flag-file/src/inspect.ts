// inspect.ts: whether each declared switch is wired to something that would stop somebody (S13).

import type { Finding, Inspection, KillSwitches, SwitchFlag } from '@offswitch/core';
import { showFinding } from './finding.ts';
import { type FlagSet, loadFlagSet } from './flag-set.ts';
import { lintFlag, untargeted } from './lint.ts';
import { readSnapshot } from './snapshot.ts';
import { switchState } from './switch-state.ts';

export async function inspectFile(location: string, switches: KillSwitches, maxBytes: number): Promise<readonly Inspection[]> {
  const snapshot = await readSnapshot(location, maxBytes);
  const whole = (finding: Finding): readonly Inspection[] =>
    switches.flags.map((flag) => ({ key: flag.key, flag, engaged: 'unknown', targets: [], findings: [finding] }));
  if (!snapshot.ok) return whole({ code: snapshot.kind, severity: 'error', message: `${location}: ${snapshot.why}` });
  const loaded = loadFlagSet(snapshot.text);
  if (!loaded.ok) return whole({ code: loaded.finding.code, severity: 'error', message: showFinding(location, loaded.finding) });
  return switches.flags.map((flag) => inspectFlag(location, loaded.set, flag));
}

function inspectFlag(location: string, set: FlagSet, flag: SwitchFlag): Inspection {
  const findings = lintFlag(set.document, flag.key, flag).map(
    (one): Finding => ({
      // Every vendor's inspection calls it `missing`.
      code: one.code === 'missing-switch' ? 'missing' : one.code,
      severity: one.severity,
      message: showFinding(location, one),
    }),
  );
  const verdict = set.readable(flag.key, flag);
  if (!verdict.ok) {
    const message = showFinding(location, verdict.finding);
    const isListed = findings.some((one) => one.severity === 'error');
    return {
      key: flag.key,
      flag,
      engaged: 'unknown',
      targets: [],
      findings: isListed ? findings : [...findings, { code: verdict.finding.code, severity: 'error', message }],
    };
  }
  const state = switchState(set.document, flag);
  const targets = state.rule.kind === 'lists' ? [...new Set(state.rule.lists.flatMap((list) => list.ids))] : [];
  const message = untargeted(state);
  if (message !== undefined) findings.push({ code: 'untargeted', severity: 'error', message });
  if (state.rule.kind === 'hand-written') {
    const message = `the targeting of ${JSON.stringify(flag.key)} was written by hand: it is read as it stands, and cannot be flipped from here`;
    findings.push({ code: 'hand-written-rule', severity: 'warning', message });
  }
  const engaged: Inspection['engaged'] =
    state.rule.kind === 'hand-written'
      ? 'unknown'
      : state.isDefaultEngaged
        ? 'everybody'
        : targets.length > 0
          ? 'targets'
          : 'nobody';
  return { key: flag.key, flag, engaged, targets, findings };
}
