/**
 * Two texts with the same MD5: Marc Stevens, 2024,
 * https://x.com/realhashbreaker/status/1770161965006008570
 */
export const sameMd5 = [
  "TEXTCOLLBYfGiJUETHQ4hAcKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak",
  "TEXTCOLLBYfGiJUETHQ4hEcKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak",
] as const;
