// What the commands that take models from elsewhere share: the options and variables that say from where, and with which headers.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { RequestHeaders } from './access.js';
import { UsageError, type OptionSpec } from './args.js';
import { HUB, isShortReference, parseReference, urlOf } from './hub-reference.js';
import type { ModelOptions } from './model-input.js';
import { findModel } from './models.js';
import type { OwnHeaders } from './request.js';

/** As the command line has them. */
export interface AccessArgs {
  hub?: string;
  headers?: Record<string, string>;
  manifest?: string;
}

export const ACCESS_SPECS: Record<string, OptionSpec> = { hub: { value: true }, header: { value: true }, manifest: { value: true } };

export const HUB_HELP = `      --hub ADDRESS       of a mirror of huggingface.co (default: what HF_ENDPOINT says); HF_TOKEN is sent
                          to the hub alone
      --header LINE       'NAME: VALUE', sent to what was named here alone; can be given several times`;
export const ACCESS_HELP = `${HUB_HELP}
      --manifest FILE     list of models that can be named, as sotto manifest writes it; or its address`;

/** Takes an option that is one of these. */
export function accessOption(o: AccessArgs, name: string, shown: string, value: string): boolean {
  if (name === 'hub') {
    o.hub = value;
  } else if (name === 'manifest') {
    o.manifest = value;
  } else if (name === 'header') {
    const [, key, text] = /^([^:\s]+):[ \t]*(.*)$/s.exec(value) ?? [];
    if (key === undefined) throw new UsageError(`option '${shown}' needs 'NAME: VALUE'`);
    (o.headers ??= {})[key] = text;
  } else {
    return false;
  }
  return true;
}

/** Options of create() for a model that was named so. */
export function accessOf(o: AccessArgs, model: string): Pick<ModelOptions, 'hub' | 'headers' | 'manifest'> {
  const hub = o.hub ?? (process.env['HF_ENDPOINT'] || undefined);
  const manifest = o.manifest === undefined ? undefined : placeOf(o.manifest);
  return { hub, headers: headersOf(o, hub ?? HUB, model), manifest };
}

function headersOf({ hub: given, headers, manifest }: AccessArgs, hub: string, model: string): RequestHeaders | undefined {
  const token = process.env['HF_TOKEN']?.trim();
  if (!token && !headers) return undefined;
  const originOf = (address: string | undefined): string | undefined => (address === undefined ? undefined : urlOf(address)?.origin);
  const ofHub = originOf(hub);
  const named = [originOf(model), originOf(manifest), given !== undefined || isShortReference(model) ? ofHub : undefined];
  return (origin): OwnHeaders => ({
    ...(token && origin === ofHub && { Authorization: `Bearer ${token}` }),
    ...(named.includes(origin) && headers),
  });
}

/** What is there is a file; anything else an address. */
function placeOf(given: string): string | URL {
  return /^https?:/.test(given) ? given : pathToFileURL(path.resolve(given));
}

/** A path where there is one; else what create() knows: an address, a model on a hub, or a name; undefined: nothing of these. */
export function findModelPlace(given: string, { manifest }: AccessArgs): string | URL | undefined {
  if (existsSync(given)) return pathToFileURL(path.resolve(given));
  const known = /^https?:/.test(given) || parseReference(given, HUB) || manifest !== undefined || findModel(given);
  return known ? given : undefined;
}
