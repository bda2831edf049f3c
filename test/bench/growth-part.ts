/** What may grow: each is measured by itself. */
export const GROWTH_PARTS = ['workers', 'backlog', 'gtid-set', 'channels'] as const;

export type GrowthPart = (typeof GROWTH_PARTS)[number];
