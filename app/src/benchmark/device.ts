/* The device, as far as the page is told: roughly, for a result is shared. */

import { signal } from '@preact/signals';
import { detect, detectGpu, type GpuInfo } from 'sotto';
import type { Result } from './result.ts';

/** undefined: not known yet; null: there is none. */
export const gpu = signal<GpuInfo | null | undefined>(undefined);

/** "low": little is left, so that many systems slow down. */
export const power = signal<'mains' | 'battery' | 'low' | undefined>(undefined);

export const cores = (): number => navigator.hardwareConcurrency || 1;

/** What newer browsers tell beside the types of TypeScript. */
interface Told extends Navigator {
  userAgentData?: { brands: { brand: string; version: string }[]; platform: string };
  deviceMemory?: number; // GB
  getBattery?: () => Promise<EventTarget & { charging: boolean; level: number }>;
}

const LOW = 0.2; // of the battery

let looked: Promise<void> | undefined;

/** Finds out about the GPU and the battery, once; done when the GPU is known. */
export function look(): Promise<void> {
  return (looked ??= (async () => {
    void watchPower();
    gpu.value = (await detectGpu().catch(() => undefined)) ?? null;
  })());
}

async function watchPower(): Promise<void> {
  const battery = await (navigator as Told).getBattery?.().catch(() => undefined);
  if (!battery) return;
  const tell = () => (power.value = battery.charging ? 'mains' : battery.level <= LOW ? 'low' : 'battery');
  for (const event of ['chargingchange', 'levelchange']) battery.addEventListener(event, tell);
  tell();
}

const BROWSERS: [RegExp, string][] = [
  [/\bFirefox\/(\d+)/, 'Firefox'],
  [/\bEdgA?\/(\d+)/, 'Edge'],
  [/\bOPR\/(\d+)/, 'Opera'],
  [/\bSamsungBrowser\/(\d+)/, 'Samsung Internet'],
  [/\b(?:Headless)?Chrome\/(\d+)/, 'Chromium'],
  [/\bVersion\/(\d+).*Safari/, 'Safari'],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, 'Android'],
  [/iPhone|iPad|iPod/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** "Firefox 140", without more. */
function browser({ userAgent, userAgentData }: Told): string {
  const brands = userAgentData?.brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand)) ?? [];
  const brand = brands.find(({ brand }) => brand !== 'Chromium') ?? brands[0];
  if (brand) return `${brand.brand} ${brand.version}`;
  for (const [pattern, name] of BROWSERS) {
    const version = pattern.exec(userAgent)?.[1];
    if (version) return `${name} ${version}`;
  }
  return 'another browser';
}

const system = ({ userAgent, userAgentData }: Told): string =>
  userAgentData?.platform || SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1] || 'another system';

export function deviceFacts(): Result['device'] {
  const { threads, simd, relaxedSimd } = detect();
  const { deviceMemory } = navigator as Told;
  return {
    browser: browser(navigator),
    system: system(navigator),
    cores: cores(),
    ...(deviceMemory && { memory_bytes: deviceMemory * 2 ** 30 }),
    ...{ threads, simd, relaxed_simd: relaxedSimd },
    ...(power.value && { power: power.value === 'mains' ? 'mains' : 'battery' }),
  };
}
