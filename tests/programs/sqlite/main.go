// Command sqlite keeps tables in a file by modernc.org/sqlite: transactions, constraints, a
// write-ahead log that a second connection reads beside the writer, queries that need indexes,
// windows and JSON, and a second opening.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"modernc.org/sqlite"
)

func main() {
	log.SetFlags(0)
	db := open()
	fill(db)
	transactions(db)
	readers(db)
	check(db.Close())
	_, err := os.Stat("store.db-wal")
	fmt.Println("the log is gone after the end:", errors.Is(err, os.ErrNotExist))
	db = open()
	query(db)
	check(db.Close())
}

func open() *sql.DB {
	db, err := sql.Open("sqlite", "file:store.db?_pragma=journal_mode(WAL)"+
		"&_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)")
	check(err)
	return db
}

func fill(db *sql.DB) {
	_, err := db.Exec(`create table people (id integer primary key, name text not null unique,
			born integer check (born > 1800));
		create table letters (id integer primary key, sender int references people on delete
			cascade, length int, text text);
		create index by_length on letters (length, sender);
		create view talkative as select name, count(*) as n from people join letters on
			sender = people.id group by name;
		create trigger shout after insert on letters when new.length > 990 begin
			update letters set text = upper(text) where id = new.id; end;`)
	check(err)
	tx, err := db.Begin()
	check(err)
	for i := range 100 {
		_, err := tx.Exec("insert into people values (?, ?, ?)", i+1,
			fmt.Sprintf("person %02d", i), 1900+i)
		check(err)
	}
	insert, err := tx.Prepare("insert into letters (sender, length, text) values (?, ?, ?)")
	check(err)
	for i := range 5000 {
		length := i * 7919 % 1000
		_, err := insert.Exec(i%97+1, length, strings.Repeat("a letter ", length/9))
		check(err)
	}
	check(tx.Commit())
}

func count(q interface {
	QueryRow(string, ...any) *sql.Row
}, query string) (n int) {
	check(q.QueryRow(query).Scan(&n))
	return n
}

func transactions(db *sql.DB) {
	tx, err := db.Begin()
	check(err)
	_, err = tx.Exec("delete from people where id <= 10")
	check(err)
	fmt.Println(count(tx, "select count(*) from letters"), "letters inside, and")
	check(tx.Rollback())
	fmt.Println(count(db, "select count(*) from letters"), "after the rollback")
	for _, wrong := range []string{"insert into people values (1, 'x', 1900)",
		"insert into people values (200, 'person 07', 1900)",
		"insert into people values (200, 'x', 1700)",
		"insert into letters (sender) values (999)", "select nothing from nowhere"} {
		_, err := db.Exec(wrong)
		var e *sqlite.Error
		fmt.Println(errors.As(err, &e), err)
	}
}

// readers have a snapshot beside a writer, as a write-ahead log allows it. A second writer waits,
// or is told that the store is busy.
func readers(db *sql.DB) {
	reader, err := db.Begin()
	check(err)
	before := count(reader, "select count(*) from people")
	_, err = db.Exec("insert into people values (500, 'late', 1999)")
	check(err)
	fmt.Println("the reader sees", before, "and then",
		count(reader, "select count(*) from people"), "people, others",
		count(db, "select count(*) from people"))
	_, err = reader.Exec("insert into people values (501, 'later', 1999)")
	fmt.Println("writing by an old snapshot:", err)
	check(reader.Rollback())
	done := make(chan error)
	for i := range 4 {
		go func() { done <- write(db, i+1) }()
	}
	for range 4 {
		check(<-done)
	}
	fmt.Println(count(db, "select count(*) from letters where length >= 2000"),
		"letters by four writers")
}

// write makes long letters, each in a transaction of its own.
func write(db *sql.DB, sender int) error {
	for i := range 25 {
		_, err := db.Exec("insert into letters (sender, length) values (?, ?)", sender,
			2000+i)
		if err != nil {
			return err
		}
	}
	return nil
}

func query(db *sql.DB) {
	var mode, integrity, version string
	check(db.QueryRow("pragma journal_mode").Scan(&mode))
	check(db.QueryRow("pragma integrity_check").Scan(&integrity))
	check(db.QueryRow("select sqlite_version()").Scan(&version))
	fmt.Println("version", version, "mode", mode, "integrity", integrity)
	for _, text := range []string{
		"select name || ': ' || n from talkative order by n desc, name limit 3",
		`select (born / 10 * 10) || 's: ' || sum(length) over (order by born) from people
			join letters on sender = people.id where length between 500 and 502
			limit 4`,
		`select json_group_array(json_object('id', id, 'n', length)) from letters
			where id < 4`,
		"select substr(text, 1, 8) || length(text) from letters where length > 995 limit 2",
		"explain query plan select * from letters where length = 7",
		`with recursive f(a, b) as (select 1, 1 union all select b, a + b from f
			where b < 1000) select group_concat(a) from f`,
	} {
		rows, err := db.Query(text)
		check(err)
		columns, err := rows.Columns()
		check(err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(string)
			}
			check(rows.Scan(values...))
			fmt.Println(*values[len(values)-1].(*string))
		}
		check(rows.Err())
	}
	result, err := db.Exec("delete from people where id % 2")
	check(err)
	gone, err := result.RowsAffected()
	check(err)
	_, err = db.Exec("vacuum")
	check(err)
	fmt.Println(gone, "people are gone,", count(db, "select count(*) from letters"),
		"letters left")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
