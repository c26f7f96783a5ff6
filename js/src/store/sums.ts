// SHA-256 of stretches that are in memory, by the platform, beside other work.

/** 64 digits, as SHA-256 is written here. */
export const plainHex = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);

export const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Pages without a secure connection have none of it: nothing is kept there. */
export const canSum = (): boolean => !!globalThis.crypto?.subtle;

export const sumOf = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));

export const sumOfText = (text: string): Promise<string> => sumOf(new TextEncoder().encode(text));
