module scrutin.example/submit

go 1.22
