// baggage.ts: the one member of W3C Baggage that is ours, beside everybody else's.
//
// Formats: W3C Baggage, section 3.3.1 (header content) and 3.3.2 (limits). The letters of a token are all baggage octets, and a
// library that percent-encodes some of them on the way (OpenTelemetry's does) is undone by the one decoding done here.

import { context, propagation } from '@opentelemetry/api';
import { RuntimeError } from '../error.ts';

/** The name of our member. */
export const baggageMember = 'offswitch.path';
/** What W3C Baggage, section 3.3.2, asks everybody to pass on: beyond it, members may be dropped, and ours with them. */
const maxBaggageBytes = 8192;
const maxBaggageMembers = 64;
/** Characters that a header can hold (RFC 9110, section 5.5), without bytes above ASCII, which baggage percent-encodes. */
const headerText = /^[\t\x20-\x7e]+$/;

/** Our member first, then everybody else's as they were. Throws `path_too_long` where together they pass what is passed on. */
export function joinBaggage(token: string, ...others: readonly (string | null | undefined)[]): string {
  const joined = [`${baggageMember}=${token}`, ...others.flatMap(foreignMembers)];
  const text = joined.join(',');
  if (text.length <= maxBaggageBytes && joined.length <= maxBaggageMembers) return text;
  throw new RuntimeError(
    'path_too_long',
    `baggage of ${joined.length} members and ${text.length} bytes may be cut on the way (${maxBaggageMembers} and ${maxBaggageBytes} are passed on); send less beside the path`,
  );
}

/** Everybody else's members as they were, `undefined` where there are none. */
export function foreignBaggage(text: string): string | undefined {
  const members = foreignMembers(text);
  return members.length === 0 ? undefined : members.join(',');
}

function foreignMembers(text: string | null | undefined): string[] {
  return membersOf(text ?? '').filter((member) => !isOurs(nameOf(member)) && headerText.test(member));
}

/** Our member's value, `undefined` where there is none. Throws `path_malformed` for two, for one without a value, for one under a name that only looks like ours. */
export function tokenInBaggage(text: string): string | undefined {
  const ours = membersOf(text).filter((member) => isOurs(nameOf(member)));
  const [member] = ours;
  if (member === undefined) return undefined;
  if (ours.length > 1) throw new RuntimeError('path_malformed', `baggage holds ${ours.length} paths`);
  const [name, at] = [nameOf(member), member.search(/[=;]/)];
  if (name !== baggageMember || member[at] !== '=')
    throw new RuntimeError('path_malformed', `baggage holds a path that is not written ${baggageMember}=...`);
  // Properties (`;name=value`) may be added on the way, and none is ours.
  const value = member.slice(at + 1).split(';', 1)[0]!;
  try {
    return decodeURIComponent(value.trim());
  } catch (error) {
    throw new RuntimeError('path_malformed', 'baggage holds a path whose percent-encoding is broken', { cause: error });
  }
}

function membersOf(text: string): string[] {
  return text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

function nameOf(member: string): string {
  return member.split(/[=;]/, 1)[0]!.trim();
}

/** Also what somebody may have meant as ours: to overlook it would be to take a child for a root. */
function isOurs(name: string): boolean {
  let plain = name;
  try {
    plain = decodeURIComponent(name);
  } catch {
    // Not percent-encoded, then: compared as it is.
  }
  return plain.toLowerCase() === baggageMember;
}

/**
 * Runs `body` where OpenTelemetry's active baggage holds no path. Its propagators put all of that on every request, to
 * third parties too, and the path of the session that called us is not the path of the one that calls.
 */
export function withoutActivePath<R>(body: () => R): R {
  let isEntered = false;
  const entered = (): R => {
    isEntered = true;
    return body();
  };
  try {
    const baggage = propagation.getActiveBaggage();
    if (baggage?.getEntry(baggageMember))
      return context.with(propagation.setBaggage(context.active(), baggage.removeEntry(baggageMember)), entered);
  } catch (error) {
    // What telemetry throws before the body is telemetry's fault (I13); the body's own error is not.
    if (isEntered) throw error;
  }
  return body();
}
