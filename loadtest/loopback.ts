/** The n-th address of this machine from 127.16.0.1 on: a client each, for limits hold by address. */
export function loopback(n: number): string {
  const [high, low] = [Math.floor(n / 250), n % 250];
  return `127.${16 + Math.floor(high / 250)}.${high % 250}.${low + 1}`;
}
