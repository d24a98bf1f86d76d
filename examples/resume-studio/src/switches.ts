// switches.ts: the kill switches of the studio. Everything that can be stopped, and who may stop it, is on this page.

import { defineKillSwitches, type KillSwitches } from 'offswitch';
import type { Workflow } from './planner-roles.ts';

export const switches: KillSwitches<Workflow> = defineKillSwitches({
  roles: ['on-call', 'engineering-leadership', 'support', 'support-lead', 'hiring-desk'],
  global: { authorized: ['on-call', 'engineering-leadership'] },
  features: {
    'resume-rewrite': { authorized: ['on-call', 'support-lead'] },
    'cover-letter-draft': { authorized: ['on-call', 'support-lead'] },
    // Nobody watches it: it resumes without a person, and there is no end user to tell.
    'batch-scoring': { unattended: true, authorized: ['on-call', 'hiring-desk'] },
  },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});
