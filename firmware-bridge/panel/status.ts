/** What a panel says of itself. */
export interface PanelFacts {
  /** The firmware's name and version, such as "shardkeep-panel 1.0". */
  readonly firmware: string;
  /** Our own firmware: what happens while nobody listens is latched. False: a stock board, and `tamper` knows only `open`. */
  readonly latch: boolean;
  /** Eight bytes in hex; null on a stock board. */
  readonly serial: string | null;
  readonly display: boolean;
  readonly tamper: {
    readonly open: boolean;
    /** Open at some time since the last clear. */
    readonly latched: boolean;
    /** Its memory was found spoilt: what it says of the past is not all. */
    readonly damaged: boolean;
    /** What a clear must name, 32 bits; it grows with every opening, start and clear. */
    readonly counter: number;
    /** Nobody watched the lid before the starts `from` + 1 … `to`, for how long nobody knows. */
    readonly unwatched: { readonly from: number; readonly to: number } | null;
  };
  /** The confirm button is pressed now. */
  readonly button: boolean;
}
