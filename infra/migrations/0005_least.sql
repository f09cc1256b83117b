-- Each role keeps the rights that its service uses, and no other. The schedule, the facts of the gate and the lift are looked at by functions
-- that run as the owner, and shown by watch; a trigger needs no right of whoever fires it.

revoke select on ledger.definition, ledger.poll, ledger.gate_fact, ledger.lift from scrutin_tabulate, scrutin_recount;
revoke select on ledger.gate_fact, ledger.lift from scrutin_ledger;
revoke select on ledger.data_key, ledger.gate_fact, ledger.lift from scrutin_release;
revoke select on ledger.poll, ledger.cosignature, ledger.origin from scrutin_watch;
revoke select on tabulate.position from scrutin_recount, scrutin_watch;
revoke select on recount.position from scrutin_tabulate, scrutin_watch;
revoke usage on schema tabulate, recount from scrutin_watch;

revoke execute on function ledger.gate_reasons, ledger.close_in_force, ledger.wall, ledger.head_forward, ledger.refuse_change, release.wall
  from scrutin_ledger, scrutin_tabulate, scrutin_recount, scrutin_watch;
